// SPDX-License-Identifier: Apache-2.0
// Shows on standard error how far a load run is.
#pragma once

#include <functional>

#include "client/load_generator.h"

#include "base/clock.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace tailor::client {

// From construction to destruction, a thread of its own draws a bar five times a second on a
// terminal, or writes a JSON line a second elsewhere.
class LoadProgressDisplay {
 public:
  // `progress` is called from the display's thread.
  LoadProgressDisplay(Duration expected, std::function<LoadProgress()> progress);
  ~LoadProgressDisplay();
  LoadProgressDisplay(const LoadProgressDisplay&) = delete;
  LoadProgressDisplay& operator=(const LoadProgressDisplay&) = delete;

 private:
  void Run();
  void Show();
  bool IsStopped(Duration wait);

  const Duration expected_;
  const std::function<LoadProgress()> progress_;
  const bool on_terminal_;
  const TimePoint start_;
  Mutex mutex_;
  CondVar stopped_;
  bool is_stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Thread thread_;
};

}  // namespace tailor::client
