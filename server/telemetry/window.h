// SPDX-License-Identifier: Apache-2.0
// How much slower (or faster) than its fitted cost a variant has lately been: the difference of two
// states of the recorder's running totals.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "server/telemetry/recorder.h"

namespace tailor {

// Not thread-safe; one owner. Deterministic: no clock inside.
class CostWindow {
 public:
  explicit CostWindow(const Recorder* recorder);

  // Takes in what the recorder has seen since the last call.
  void Update(TimePoint now);

  // Observed / modeled seconds. Up at once, down slowly: a wrong "too slow" costs quality, a wrong
  // "fast enough" costs deadlines. 1 before anything was seen. Without news of its own a variant
  // comes to share what slows all of them, a core that another process took for instance; and
  // without any news that returns to 1, because a variant that is not chosen for being slow would
  // never be seen to have recovered.
  double Ratio(int variant, TimePoint now) const { return Ratio(variant, Shared(now), now); }
  // The same for who asks for many: `shared` is Shared(now).
  double Ratio(int variant, double shared, TimePoint now) const;
  // What all variants share: the part of the host's ratio that is more than an error of one fit.
  double Shared(TimePoint now) const;

 private:
  static constexpr size_t kBatches = 8;

  struct Track {
    std::array<CostTotals, kBatches> past{};  // ring of totals, one a change
    size_t next = 0;
    double ratio = 1;
    TimePoint seen;
    double last_batches = 0;
    CostTotals totals;     // as last read
    uint64_t version = 0;  // the recorder's at that time
  };

  static void Observe(const CostTotals& totals, double current, TimePoint now, Track* track);

  const Recorder* const recorder_;
  std::vector<Track> tracks_;
  Track host_;            // of the sums over all variants
  uint64_t version_ = 0;  // the recorder's, at the last Update
};

}  // namespace tailor
