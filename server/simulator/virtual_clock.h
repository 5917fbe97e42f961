// SPDX-License-Identifier: Apache-2.0
// Time that a simulation sets.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace tailor {

// One thread. Never goes back.
class VirtualClock final : public Clock {
 public:
  TimePoint Now() const override { return now_; }
  void AdvanceTo(TimePoint to) { now_ = std::max(now_, to); }

 private:
  // Away from zero, which the pipeline uses for "never".
  TimePoint now_{std::chrono::hours(1)};
};

}  // namespace tailor
