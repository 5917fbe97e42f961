// SPDX-License-Identifier: Apache-2.0
// Everything trusts predictions. When they are wrong in a way that nothing corrects (the time goes
// where no engine is measured), the queue stands: even who waits least waits long, and those who
// were let in end late. Then all predictions are raised until that ends: cheaper variants are
// chosen first, and less is let in after that.
#pragma once

#include "base/clock.h"

namespace tailor {

// A variant of CoDel (Nichols and Jacobson, "Controlling Queue Delay", 2012), which looks at the
// least sojourn time of an interval: a burst has somebody who hardly waited, a standing queue has
// not. Not thread-safe: guarded by the queue's lock. Knows of time only what it is told.
class Backstop {
 public:
  // How long is looked at before something changes.
  static constexpr Duration kInterval = std::chrono::milliseconds(100);
  // Part of its budget that even the luckiest must have waited: half of what admission lets a
  // request of the least priority wait.
  static constexpr double kTarget = 0.4;
  // It begins to act when more than this part of those who were let in end late, and goes on while
  // more than that part does.
  static constexpr double kBegin = 0.25;
  static constexpr double kContinue = 0.1;
  // Of fewer requests nothing is concluded.
  static constexpr int kLeastRequests = 16;
  // The factor after a bad interval and after one with short waits: quickly up, slowly down. The
  // first bad one only warns: what can correct the predictions does so within a few batches.
  static constexpr double kUp = 1.5;
  static constexpr double kDown = 0.95;
  static constexpr double kMost = 8;
  // Without requests for so long nothing is known any more.
  static constexpr Duration kForget = std::chrono::seconds(2);

  // A request's first rows are taken, or it is given up before.
  void OnStarted(TimePoint pushed, Duration budget, TimePoint now);
  // It was answered (in time or late) or given up (which is late).
  void OnEnded(TimePoint pushed, bool is_late, TimePoint now);

  // Predictions are multiplied by this; 1 when it does not act.
  double Factor(TimePoint now) const { return now - seen_ > kForget ? 1 : factor_; }

 private:
  // False for those that say nothing of the present factor.
  bool See(TimePoint pushed, TimePoint now);
  void Judge(TimePoint now);
  void OpenInterval(TimePoint now);

  double factor_ = 1;
  bool is_warned_ = false;
  TimePoint seen_{};   // the last request
  TimePoint since_{};  // of the last bad interval: who was let in before its end does not count
  TimePoint opened_{};
  double least_ = 1;  // part of its budget that a request waited
  int started_ = 0;
  int ended_ = 0;
  int late_ = 0;
};

}  // namespace tailor
