// SPDX-License-Identifier: Apache-2.0
// Time that stands still until a test moves it.
#pragma once

#include <atomic>

#include "base/clock.h"

namespace tailor {

// Thread-safe. Starts away from zero, so that a forgotten time point is noticed.
class ManualClock final : public Clock {
 public:
  TimePoint Now() const override { return TimePoint(Duration(now_.load())); }
  void Advance(Duration by) { now_ += by.count(); }

 private:
  static constexpr Duration kStart = std::chrono::hours(1);
  std::atomic<Duration::rep> now_{kStart.count()};
};

}  // namespace tailor
