// SPDX-License-Identifier: Apache-2.0
// The recorder as Prometheus reads it.
#pragma once

#include <string>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

#include "server/telemetry/recorder.h"

namespace tailor {

// Sums the shards at every Collect, and reads the process's own numbers. Thread-safe.
class Snapshot final : public prometheus::Collectable {
 public:
  // `recorder` outlives this.
  explicit Snapshot(const Recorder* recorder) : recorder_(recorder) {}

  // Counters and histograms with several labels leave out the series that are zero.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Recorder* const recorder_;
};

}  // namespace tailor
