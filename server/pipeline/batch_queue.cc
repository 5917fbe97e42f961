// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/batch_queue.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "server/pipeline/refusal.h"

namespace tailor {

BatchQueue::BatchQueue(const QueueOptions& options, Selector* selector, Recorder* recorder)
    : options_(options),
      recorder_(recorder),
      selector_(selector),
      refinements_(options.limits, options.reply_margin),
      busy_until_(static_cast<size_t>(options.num_workers)),
      free_since_(busy_until_.size()),
      holders_(busy_until_.size(), Holder::kNobody),
      safety_(recorder, options.safety) {}

BatchStart BatchQueue::StartOf(size_t worker, TimePoint now) const {
  return now - free_since_[worker] >= kColdPause ? BatchStart::kIdle : BatchStart::kBusy;
}

QueueLoad BatchQueue::Load(TimePoint now, int least_priority) const {
  const auto first_free = std::min_element(busy_until_.begin(), busy_until_.end());
  QueueLoad load{.items = items_,
                 .waiting = {},
                 .tokenizing = tokenizing_,
                 .busy_seconds = std::max(0.0, ToSeconds(*first_free - now)),
                 .num_workers = options_.num_workers,
                 .second_pass_seconds = SecondPassSeconds(),
                 .least_priority = least_priority};
  const auto worker = static_cast<size_t>(first_free - busy_until_.begin());
  load.safety = safety_.Factor(StartOf(worker, now));
  if (options_.has_backstop) load.backstop_factor = backstop_.Factor(now);
  for (size_t priority = static_cast<size_t>(least_priority); priority < waiting_.size();
       ++priority) {
    load.waiting.requests += waiting_[priority].requests;
    load.waiting.tokens += waiting_[priority].tokens;
  }
  return load;
}

QueueEntry BatchQueue::EntryOf(const PendingRequest& pending, const WorkShape& work,
                               int cheapest) const {
  const Request& request = pending.request;
  return {.id = pending.sequence,
          .arrival = request.arrival,
          .deadline = request.deadline - options_.reply_margin,
          .priority = request.priority,
          .is_pinned = !request.variant.empty(),
          .admissible = pending.admissible,
          .cheapest = cheapest,
          .total = work,
          .waiting = work,
          .lengths = pending.encoded.lengths};
}

void BatchQueue::TellRefused(const QueueEntry& entry, const absl::Status& verdict, TimePoint now) {
  if (GetRefusal(verdict).refusal == Refusal::kOverloaded) selector_->OnRefused(entry, now);
}

absl::Status BatchQueue::Reserve(PendingRequest* pending, const WorkShape& estimate, TimePoint now,
                                 const Judge& judge) {
  const MutexLock lock(&mutex_);
  if (stopped_) return stop_refusal_;
  if (absl::Status verdict = judge(Load(now)); !verdict.ok()) {
    const int priority = pending->request.priority;
    if (priority == 0 || !judge(Load(now, priority)).ok()) {
      TellRefused(EntryOf(*pending, estimate, -1), verdict, now);
      return verdict;
    }
  }
  ++tokenizing_.requests;
  tokenizing_.tokens += pending->reserved_tokens;
  return absl::OkStatus();
}

absl::Status BatchQueue::Push(const PendingPtr& pending, int cheapest,
                              std::span<const VariantState> variants, TimePoint now,
                              const Judge& judge, PushedOut* pushed_out) {
  const MutexLock lock(&mutex_);
  const Request& request = pending->request;
  --tokenizing_.requests;
  tokenizing_.tokens -= pending->reserved_tokens;
  pending->place = PendingRequest::Place::kEnded;
  if (stopped_) return stop_refusal_;
  if (pending->is_cancelled) {
    return MakeRefusal({.refusal = Refusal::kCancelled}, "the caller has gone");
  }
  absl::Status verdict = judge(Load(now));
  if (!verdict.ok()) {
    const QueueEntry entry = EntryOf(*pending, pending->encoded.work, cheapest);
    verdict = MakeRoom(entry, verdict, now, judge, pushed_out);
    if (!verdict.ok()) {
      TellRefused(entry, verdict, now);
      return verdict;
    }
  }
  pending->place = PendingRequest::Place::kQueued;
  pending->pushed = now;
  pending->sequence = next_sequence_++;
  const double gap = std::min(1.0, std::max(0.0, ToSeconds(now - last_push_)));
  usual_gap_ += kGapWeight * (gap - usual_gap_);
  last_push_ = now;
  QueueItem item{.pending = pending, .entry = EntryOf(*pending, pending->encoded.work, cheapest)};
  if (options_.live_quality != nullptr) {
    options_.live_quality->OnArrival(ToSeconds(item.entry.deadline - request.arrival));
  }
  item.entry.assigned = selector_->OnArrival(item.entry, variants, now);
  idle_until_.reset();
  CountWaiting(request.priority, 1, item.entry.waiting, 1);
  items_.emplace(QueueKey{item.entry.deadline, request.priority, pending->sequence},
                 std::move(item));
  return absl::OkStatus();
}

std::vector<QueueItems::iterator> BatchQueue::LessImportant(const QueueEntry& entry) {
  std::vector<QueueItems::iterator> found;
  for (auto item = items_.begin(); item != items_.end(); ++item) {
    const QueueEntry& other = item->second.entry;
    if (other.priority < entry.priority && other.waiting.rows == other.total.rows) {
      found.push_back(item);
    }
  }
  // What goes after it takes none of its time: that only helps when the queue is full.
  const auto rank = [&](QueueItems::iterator item) {
    const QueueEntry& other = item->second.entry;
    return std::tuple(other.deadline > entry.deadline, other.priority, -other.total.tokens);
  };
  std::stable_sort(found.begin(), found.end(), [&](QueueItems::iterator a, QueueItems::iterator b) {
    return rank(a) < rank(b);
  });
  return found;
}

absl::Status BatchQueue::MakeRoom(const QueueEntry& entry, const absl::Status& verdict,
                                  TimePoint now, const Judge& judge, PushedOut* pushed_out) {
  const RefusalDetails details = GetRefusal(verdict);
  if (entry.priority == 0 || details.refusal != Refusal::kOverloaded) return verdict;
  if (!judge(Load(now, entry.priority)).ok()) return verdict;
  std::vector<QueueItems::node_type> taken_out;
  for (const QueueItems::iterator item : LessImportant(entry)) {
    CountWaiting(item->second.entry.priority, 1, item->second.entry.waiting, -1);
    taken_out.push_back(items_.extract(item));
    if (!judge(Load(now)).ok()) continue;
    for (const QueueItems::node_type& node : taken_out) {
      node.mapped().pending->place = PendingRequest::Place::kEnded;
      pushed_out->requests.push_back(node.mapped().pending);
    }
    pushed_out->retry_after = details.retry_after.value_or(Duration::zero());
    return absl::OkStatus();
  }
  for (QueueItems::node_type& node : taken_out) {
    const QueueEntry& back = node.mapped().entry;
    CountWaiting(back.priority, 1, back.waiting, 1);
    items_.insert(std::move(node));
  }
  return verdict;
}

QueueItems::iterator BatchQueue::Find(const PendingRequest& pending) {
  return items_.find(QueueKey{pending.request.deadline - options_.reply_margin,
                              pending.request.priority, pending.sequence});
}

void BatchQueue::CountWaiting(int priority, int requests, const WorkShape& work, int sign) {
  QueueTotals& totals = waiting_[static_cast<size_t>(priority)];
  totals.requests += requests * sign;
  totals.tokens += work.tokens * sign;
  waiting_work_.rows += work.rows * sign;
  waiting_work_.tokens += work.tokens * sign;
  waiting_work_.squares += work.squares * sign;
  recorder_->SetQueue(priority, totals.requests, totals.tokens);
}

void BatchQueue::Remove(QueueItems::iterator item) {
  CountWaiting(item->second.entry.priority, 1, item->second.entry.waiting, -1);
  items_.erase(item);
}

bool BatchQueue::Cancel(const PendingPtr& pending) {
  const MutexLock lock(&mutex_);
  if (pending->place == PendingRequest::Place::kTokenizing) pending->is_cancelled = true;
  if (pending->place != PendingRequest::Place::kQueued) return false;
  if (const auto item = Find(*pending); item != items_.end()) Remove(item);
  refinements_.Remove(*pending);
  pending->place = PendingRequest::Place::kEnded;
  return true;
}

bool BatchQueue::MayReview() const {
  return options_.live_quality != nullptr && items_.empty() && refinements_.empty() &&
         tokenizing_.requests == 0 && options_.live_quality->HasWork();
}

bool BatchQueue::CompleteRows(const TakenRows& rows, bool is_second_pass, bool ok) {
  PendingRequest& pending = *rows.pending;
  Refinement& refinement = pending.refinement;
  const int all = static_cast<int>(pending.encoded.lengths.size());
  if (is_second_pass) {
    // After a failure what is there is the answer.
    if (ok) refinement.done += rows.rows;
    if (!ok || stopped_ || refinement.done == all) {
      refinements_.Remove(pending);
      return true;
    }
    refinements_.Continue(rows.pending);
    return false;
  }
  if (!ok) return true;
  if (pending.rows_done < all) return false;
  if (refinement.variant < 0 || stopped_) return true;
  refinements_.Begin(rows.pending);
  if (*refinements_.NextDue() < due_wait_) due_changed_.NotifyOne();
  return false;
}

std::vector<PendingPtr> BatchQueue::Complete(int worker, const CutBatch& batch, bool ok,
                                             Duration engine_time, TimePoint now) {
  std::vector<PendingPtr> ended;
  BatchOutcome outcome{.variant = batch.selection.variant,
                       .work = batch.work,
                       .predicted_seconds = batch.selection.predicted_seconds,
                       .seconds = ToSeconds(engine_time)};
  const MutexLock lock(&mutex_);
  busy_until_[static_cast<size_t>(worker)] = TimePoint();
  free_since_[static_cast<size_t>(worker)] = now;
  for (const TakenRows& rows : batch.taken) {
    PendingRequest& pending = *rows.pending;
    if (!batch.is_second_pass) pending.rows_done += rows.rows;
    if (pending.place == PendingRequest::Place::kEnded) continue;
    pending.answer.compute += engine_time;
    if (!CompleteRows(rows, batch.is_second_pass, ok)) continue;
    if (const auto item = Find(pending); item != items_.end()) Remove(item);
    pending.place = PendingRequest::Place::kEnded;
    ended.push_back(rows.pending);
    ++outcome.completed;
    outcome.latency_seconds += ToSeconds(now - pending.request.arrival);
    outcome.completed_work.Add(pending.encoded.work);
    if (pending.request.deadline - options_.reply_margin < now) ++outcome.late;
    if (ok) backstop_.OnEnded(pending.pushed, pending.request.deadline < now, now);
  }
  // Of its own batches alone: it did not choose a second pass or a review.
  if (ok && !batch.is_second_pass && !batch.review) selector_->OnBatchDone(outcome, now);
  return ended;
}

std::vector<PendingPtr> BatchQueue::TakeDue(TimePoint now) {
  std::vector<PendingPtr> due;
  const MutexLock lock(&mutex_);
  refinements_.TakeDue(now, &due);
  for (const PendingPtr& pending : due) {
    pending->place = PendingRequest::Place::kEnded;
    backstop_.OnEnded(pending->pushed, false, now);
  }
  return due;
}

std::vector<PendingPtr> BatchQueue::Stop(const absl::Status& refusal) {
  std::vector<PendingPtr> left;
  const MutexLock lock(&mutex_);
  if (!stopped_) stop_refusal_ = refusal;
  stopped_ = true;
  while (!items_.empty()) {
    const auto item = items_.begin();
    item->second.pending->place = PendingRequest::Place::kEnded;
    left.push_back(item->second.pending);
    Remove(item);
  }
  const size_t queued = left.size();
  refinements_.TakeAll(&left);
  for (size_t i = queued; i < left.size(); ++i) left[i]->place = PendingRequest::Place::kEnded;
  changed_.NotifyAll();
  due_changed_.NotifyAll();
  return left;
}

void BatchQueue::Inspect(TimePoint now, const std::function<void(const QueueLoad&)>& visit) const {
  const MutexLock lock(&mutex_);
  visit(Load(now));
}

QueueTotals BatchQueue::Totals() const {
  QueueTotals totals;
  const MutexLock lock(&mutex_);
  for (const QueueTotals& waiting : waiting_) {
    totals.requests += waiting.requests;
    totals.tokens += waiting.tokens;
  }
  return totals;
}

}  // namespace tailor
