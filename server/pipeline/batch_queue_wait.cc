// SPDX-License-Identifier: Apache-2.0
// Who waits for the queue, and who may cut for a worker.
#include <algorithm>

#include "server/pipeline/batch_queue.h"

namespace tailor {

bool BatchQueue::WaitForWork(int worker, const Clock& clock) {
  const MutexLock lock(&mutex_);
  Holder& holder = holders_[static_cast<size_t>(worker)];
  if (holder == Holder::kWorker) holder = Holder::kNobody;
  while (!stopped_) {
    if (holder == Holder::kSubmitter) {
      changed_.Wait(&mutex_);
      continue;
    }
    if (items_.empty() && refinements_.empty()) {
      if (!MayReview()) {
        changed_.Wait(&mutex_);
        continue;
      }
      const Duration left = review_at_ - clock.Now();
      if (left <= Duration::zero()) break;
      changed_.WaitFor(&mutex_, left);
      continue;
    }
    if (items_.empty() || !idle_until_) break;
    const Duration left = *idle_until_ - clock.Now();
    if (left <= Duration::zero()) break;
    changed_.WaitFor(&mutex_, left);
  }
  if (!stopped_) holder = Holder::kWorker;
  return !stopped_;
}

bool BatchQueue::WaitForDue(const Clock& clock) {
  const MutexLock lock(&mutex_);
  while (!stopped_) {
    const std::optional<TimePoint> due = refinements_.NextDue();
    due_wait_ = due.value_or(TimePoint::max());
    if (!due) {
      due_changed_.Wait(&mutex_);
      continue;
    }
    const Duration left = *due - clock.Now();
    if (left <= Duration::zero()) break;
    due_changed_.WaitFor(&mutex_, left);
  }
  return !stopped_;
}

std::optional<TimePoint> BatchQueue::IdleUntil() const {
  const MutexLock lock(&mutex_);
  if (items_.empty()) return MayReview() ? std::optional(review_at_) : std::nullopt;
  return idle_until_;
}

bool BatchQueue::MayRunHere(const QueueItem& item, std::span<const VariantState> variants,
                            TimePoint now) const {
  const double most = std::min(kShortSeconds, SecondPassSeconds());
  const QueueEntry& entry = item.entry;
  const double left = ToSeconds(entry.deadline - now);
  bool any = false;
  for (int i = 0; i < static_cast<int>(variants.size()); ++i) {
    const VariantState& state = variants[static_cast<size_t>(i)];
    if (!Contains(entry.admissible, i) || !state.is_available) continue;
    const double seconds = BatchSeconds(state.cost, entry.waiting);
    if (seconds > left) continue;
    if (seconds > most || !Contains(options_.one_thread, i)) return false;
    any = true;
  }
  return any;
}

std::optional<int> BatchQueue::ClaimOrWake(std::span<const VariantState> variants, TimePoint now) {
  bool is_shared = false;
  {
    const MutexLock lock(&mutex_);
    const bool is_alone =
        !stopped_ && items_.size() == 1 && refinements_.empty() && tokenizing_.requests == 0;
    const auto idle = std::find(holders_.begin(), holders_.end(), Holder::kNobody);
    if (is_alone && idle != holders_.end() && MayRunHere(items_.begin()->second, variants, now)) {
      *idle = Holder::kSubmitter;
      return static_cast<int>(idle - holders_.begin());
    }
    is_shared = std::find(holders_.begin(), holders_.end(), Holder::kSubmitter) != holders_.end();
  }
  // Without the lock, or the woken worker would wait for it at once. One whose place a submitter
  // has would pass nothing on.
  if (is_shared) {
    changed_.NotifyAll();
  } else {
    changed_.NotifyOne();
  }
  return std::nullopt;
}

void BatchQueue::Release(int worker) {
  const MutexLock lock(&mutex_);
  holders_[static_cast<size_t>(worker)] = Holder::kNobody;
  // With the lock: who waits for the last submitter may destroy the queue.
  if (stopped_ || !items_.empty() || !refinements_.empty() || MayReview()) changed_.NotifyAll();
}

void BatchQueue::AwaitSubmitters() {
  const MutexLock lock(&mutex_);
  while (std::find(holders_.begin(), holders_.end(), Holder::kSubmitter) != holders_.end()) {
    changed_.Wait(&mutex_);
  }
}

}  // namespace tailor
