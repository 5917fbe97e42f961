// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/backstop.h"

#include <algorithm>

namespace tailor {

void Backstop::OpenInterval(TimePoint now) {
  opened_ = now;
  least_ = 1;
  started_ = 0;
  ended_ = 0;
  late_ = 0;
}

bool Backstop::See(TimePoint pushed, TimePoint now) {
  if (now - seen_ > kForget) {
    factor_ = 1;
    is_warned_ = false;
    OpenInterval(now);
  }
  seen_ = now;
  return pushed >= since_;
}

void Backstop::OnStarted(TimePoint pushed, Duration budget, TimePoint now) {
  if (!See(pushed, now)) return;
  ++started_;
  if (budget > Duration::zero())
    least_ = std::min(least_, ToSeconds(now - pushed) / ToSeconds(budget));
}

void Backstop::OnEnded(TimePoint pushed, bool is_late, TimePoint now) {
  if (!See(pushed, now)) return;
  ++ended_;
  if (is_late) ++late_;
  Judge(now);
}

void Backstop::Judge(TimePoint now) {
  if (now - opened_ < kInterval || std::min(started_, ended_) < kLeastRequests) return;
  const double most_late = (factor_ > 1 ? kContinue : kBegin) * ended_;
  const bool is_bad = least_ > kTarget && late_ > most_late;
  if (is_bad && is_warned_) factor_ = std::min(kMost, kUp * factor_);
  if (least_ <= kTarget) factor_ = std::max(1.0, kDown * factor_);
  is_warned_ = is_bad || factor_ > 1;
  if (is_bad) since_ = now;
  OpenInterval(now);
}

}  // namespace tailor
