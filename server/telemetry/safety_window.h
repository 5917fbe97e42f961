// SPDX-License-Identifier: Apache-2.0
// By how much predictions must be raised so that nearly all batches end in time: the upper quantile
// of observed / predicted over the recorder's last batches.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "server/telemetry/recorder.h"

namespace tailor {

// Not thread-safe; one owner. Deterministic: no clock inside.
class SafetyWindow {
 public:
  // At this quantile a late answer costs about as much quality as the margin does: neighbours on a
  // ladder differ by a few percent, and a late answer loses everything.
  static constexpr double kQuantile = 0.97;

  // `recorder` outlives it. `least`: the factor before anything was seen, and its lower bound.
  SafetyWindow(const Recorder* recorder, double least);

  // Takes in what the recorder has seen since the last call.
  void Update();

  // At least `least`, at most the larger of it and 2: a host that is slower than that for long is
  // what the cost model's own correction is for.
  double Factor(BatchStart start) const { return tracks_[static_cast<size_t>(start)].factor; }

 private:
  struct Track {
    std::vector<double> seen;     // counts of all batches, by bucket
    std::vector<double> weights;  // of the last ones, older ones fading
    double factor = 1;
  };

  double Quantile(const Track& track) const;

  const Recorder* const recorder_;
  const double least_;
  std::vector<double> counts_;  // scratch
  uint64_t version_ = 0;        // the recorder's, at the last Update
  std::array<Track, std::size(kBatchStarts)> tracks_;
};

}  // namespace tailor
