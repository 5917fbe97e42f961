// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/health.h"

#include <utility>

namespace tailor {

std::string_view HealthStateName(HealthState state) {
  switch (state) {
    case HealthState::kStarting:
      return "starting";
    case HealthState::kReady:
      return "ready";
    case HealthState::kDraining:
      return "draining";
    case HealthState::kFailed:
      return "failed";
  }
  return "";
}

HealthState Health::state() const {
  const MutexLock lock(&mutex_);
  return state_;
}

void Health::Observe(Observer observer) {
  const MutexLock lock(&mutex_);
  observer(state_);
  observers_.push_back(std::move(observer));
}

bool Health::MoveTo(HealthState next) {
  const MutexLock lock(&mutex_);
  if (next <= state_) return false;
  state_ = next;
  for (const Observer& observer : observers_) observer(state_);
  return true;
}

}  // namespace tailor
