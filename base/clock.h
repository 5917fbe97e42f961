// SPDX-License-Identifier: Apache-2.0
// Time as the server uses it: monotonic, injectable. Wall time appears only in log stamps.
#pragma once

#include <chrono>

namespace tailor {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// Thread-safe. Implementations: SteadyClock here, ManualClock in tests/testing.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
};

class SteadyClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
};

constexpr double ToSeconds(Duration d) { return std::chrono::duration<double>(d).count(); }
constexpr double ToMillis(Duration d) { return ToSeconds(d) * 1e3; }
constexpr Duration FromSeconds(double s) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
}

}  // namespace tailor
