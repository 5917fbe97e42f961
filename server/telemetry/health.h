// SPDX-License-Identifier: Apache-2.0
// Whether the server takes requests, and who wants to know.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"

#include "base/mutex.h"

namespace tailor {

enum class HealthState { kStarting, kReady, kDraining, kFailed };
// "starting", "ready", "draining", "failed"
std::string_view HealthStateName(HealthState state);

// starting -> ready -> draining -> failed; steps may be left out, and none leads back. Thread-safe.
class Health {
 public:
  using Observer = std::function<void(HealthState)>;

  HealthState state() const;

  // Calls `observer` with the present state and then at every change, in order, on the thread that
  // changes it. An observer must not call back.
  void Observe(Observer observer);

  // False, and nothing changes, when that step does not exist.
  bool MoveTo(HealthState next);

 private:
  mutable Mutex mutex_;
  HealthState state_ ABSL_GUARDED_BY(mutex_) = HealthState::kStarting;
  std::vector<Observer> observers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tailor
