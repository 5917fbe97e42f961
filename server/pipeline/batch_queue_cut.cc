// SPDX-License-Identifier: Apache-2.0
// How a batch leaves the queue: the dead are dropped, the selector chooses, the rows are taken.
#include <algorithm>
#include <utility>

#include "server/pipeline/batch_queue.h"

namespace tailor {

void BatchQueue::DropExpired(TimePoint now, std::vector<PendingPtr>* expired) {
  while (!items_.empty() && items_.begin()->second.entry.deadline <= now) {
    GiveUp(items_.begin(), now, expired);
  }
}

void BatchQueue::GiveUp(QueueItems::iterator item, TimePoint now,
                        std::vector<PendingPtr>* given_up) {
  PendingRequest& pending = *item->second.pending;
  pending.place = PendingRequest::Place::kEnded;
  if (pending.rows_taken == 0) {
    backstop_.OnStarted(pending.pushed, pending.request.deadline - pending.request.arrival, now);
  }
  backstop_.OnEnded(pending.pushed, true, now);
  given_up->push_back(item->second.pending);
  Remove(item);
}

QueueSnapshot BatchQueue::TakeSnapshot(double safety) {
  entries_.clear();
  chosen_from_.clear();
  QueueTail tail{.requests = 0, .waiting = waiting_work_, .last_deadline = {}};
  for (auto item = items_.begin(); item != items_.end() && entries_.size() < kMaxSnapshot; ++item) {
    const QueueEntry& entry = item->second.entry;
    entries_.push_back(entry);
    chosen_from_.push_back(item);
    tail.waiting.rows -= entry.waiting.rows;
    tail.waiting.tokens -= entry.waiting.tokens;
    tail.waiting.squares -= entry.waiting.squares;
  }
  const double used_requests = static_cast<double>(items_.size()) / options_.max_requests;
  const double used_tokens =
      static_cast<double>(waiting_work_.tokens) / static_cast<double>(options_.max_tokens);
  if (!items_.empty()) {
    tail.requests = static_cast<int>(items_.size() - entries_.size());
    tail.last_deadline = items_.rbegin()->second.entry.deadline;
  }
  return {.entries = entries_,
          .limits = options_.limits.Get(),
          .num_workers = options_.num_workers,
          .safety = safety,
          .tail = tail,
          .fullness = std::max(used_requests, used_tokens)};
}

bool BatchQueue::StartAgain(std::span<const int> hopeless, std::span<const VariantState> variants) {
  bool any = false;
  for (const int index : hopeless) {
    QueueEntry& entry = chosen_from_[static_cast<size_t>(index)]->second.entry;
    PendingRequest& pending = *chosen_from_[static_cast<size_t>(index)]->second.pending;
    const bool is_bound = pending.variant >= 0 && !entry.is_pinned;
    if (!is_bound || pending.rows_taken != pending.rows_done) continue;
    CountWaiting(entry.priority, 0, entry.waiting, -1);
    CountWaiting(entry.priority, 0, entry.total, 1);
    pending.variant = -1;
    pending.rows_taken = 0;
    pending.rows_done = 0;
    pending.tokens_taken = 0;
    pending.refinement = {};
    entry.admissible = pending.admissible;
    entry.waiting = entry.total;
    entry.lengths = pending.encoded.lengths;
    entry.cheapest =
        CheapestVariant(variants, entry.admissible, entry.waiting, options_.limits.Get());
    any = true;
  }
  return any;
}

std::span<const VariantState> BatchQueue::Distrust(std::span<const VariantState> variants,
                                                   TimePoint now) {
  const double factor = options_.has_backstop ? backstop_.Factor(now) : 1;
  recorder_->SetBackstop(factor);
  if (factor == 1) return variants;
  distrusted_.assign(variants.begin(), variants.end());
  for (VariantState& variant : distrusted_) variant.cost.ratio *= factor;
  return distrusted_;
}

CutBatch BatchQueue::Cut(int worker, std::span<const VariantState> measured, TimePoint now) {
  CutBatch batch;
  const MutexLock lock(&mutex_);
  if (stopped_) return batch;
  const bool is_submitter = holders_[static_cast<size_t>(worker)] == Holder::kSubmitter;
  // More came meanwhile: the worker's thread, which Release wakes, has them all.
  if (is_submitter && items_.size() != 1) return batch;
  DropExpired(now, &batch.expired);
  const std::span<const VariantState> variants = Distrust(measured, now);
  safety_.Update();
  batch.start = StartOf(static_cast<size_t>(worker), now);
  const double safety = safety_.Factor(batch.start);
  QueueSnapshot snapshot = TakeSnapshot(safety);
  batch.selection = selector_->Select(snapshot, variants, now);
  if (StartAgain(batch.selection.hopeless, variants)) {
    snapshot = TakeSnapshot(safety);
    batch.selection = selector_->Select(snapshot, variants, now);
  }
  for (const int index : batch.selection.hopeless) {
    GiveUp(chosen_from_[static_cast<size_t>(index)], now, &batch.hopeless);
  }
  PlanCascade(snapshot, variants, now, &batch.selection);
  for (const Portion& portion : batch.selection.portions) {
    Take(chosen_from_[static_cast<size_t>(portion.entry)], portion.rows, snapshot, variants, now,
         &batch);
  }
  idle_until_ = batch.selection.wait_until;
  if (!is_submitter) {
    if (!refinements_.empty()) CutSecondPass(variants, now, &batch);
    if (batch.selection.variant < 0) CutReview(variants, now, safety, &batch);
  }
  if (batch.selection.variant >= 0) {
    busy_until_[static_cast<size_t>(worker)] = now + FromSeconds(batch.selection.predicted_seconds);
  }
  return batch;
}

void BatchQueue::PlanCascade(const QueueSnapshot& snapshot, std::span<const VariantState> variants,
                             TimePoint now, Selection* selection) {
  // What the policy gives up for those behind is theirs; with nobody behind, time until the
  // deadline is free.
  const bool is_alone =
      selection->variant >= 0 && snapshot.entries.size() == 1 && items_.size() == 1;
  if (options_.cascade == nullptr || !is_alone || refinements_.size() >= kMaxRefinements) return;
  const QueueEntry& entry = snapshot.entries[0];
  PendingRequest& pending = *chosen_from_[0]->second.pending;
  const Request& request = pending.request;
  const bool may = request.kind == RequestKind::kRank && request.may_cascade && !entry.is_pinned;
  if (!may || pending.variant >= 0) return;
  const std::optional<CascadePlan> plan = options_.cascade->Choose(
      selection->variant, entry.admissible, entry.total, ToSeconds(entry.deadline - now),
      SecondPassSeconds(), variants, snapshot.limits, snapshot.safety);
  if (!plan) return;
  pending.refinement.variant = plan->second;
  pending.answer.predicted =
      now - entry.arrival + options_.reply_margin + FromSeconds(plan->seconds);
  const CostCoefficients& cost = variants[static_cast<size_t>(plan->first)].cost;
  WorkShape work;
  for (const int32_t length : entry.lengths) {
    const bool fits = work.rows < snapshot.limits.max_sequences &&
                      work.tokens + length <= snapshot.limits.max_tokens;
    if (!fits || IsFullBatch(cost, work)) break;
    work.Add(length);
  }
  selection->variant = plan->first;
  selection->sub_network = 0;
  selection->portions = {{.entry = 0, .rows = static_cast<int>(work.rows)}};
  selection->predicted_seconds = BatchSeconds(cost, work);
  selection->reason = SelectionReason::kCascade;
}

void BatchQueue::CutSecondPass(std::span<const VariantState> variants, TimePoint now,
                               CutBatch* batch) {
  // A first pass came before.
  const double safety = safety_.Factor(BatchStart::kBusy);
  const size_t before = batch->complete.size();
  if (batch->selection.variant < 0 && !items_.empty()) {
    // The selector waits for something: an answer must not.
    refinements_.TakeAll(&batch->complete);
  } else if (batch->selection.variant < 0) {
    if (std::optional<RefinementBatch> next =
            refinements_.Cut(SecondPassSeconds(), safety, variants, now, &batch->complete)) {
      const Refinement& refinement = next->pending->refinement;
      const auto first = refinement.order.begin() + next->first;
      TakenRows taken{.pending = next->pending, .rows = next->rows};
      taken.picked.assign(first, first + next->rows);
      batch->is_second_pass = true;
      batch->selection.variant = refinement.variant;
      batch->selection.predicted_seconds = next->seconds;
      batch->selection.reason = SelectionReason::kCascade;
      batch->work = next->work;
      batch->taken.push_back(std::move(taken));
    }
  }
  refinements_.TakeLate(batch->selection.predicted_seconds, safety, variants, now,
                        &batch->complete);
  for (size_t i = before; i < batch->complete.size(); ++i) {
    batch->complete[i]->place = PendingRequest::Place::kEnded;
  }
}

void BatchQueue::CutReview(std::span<const VariantState> variants, TimePoint now, double safety,
                           CutBatch* batch) {
  if (!MayReview()) return;
  const double silence = ToSeconds(now - last_push_);
  ReviewCut cut = options_.live_quality->Cut(
      {.gap = std::max(usual_gap_, silence), .safety = safety}, variants);
  // A time that was rounded down would come too early.
  constexpr Duration kRounding = std::chrono::microseconds(1);
  review_at_ = std::max(last_push_ + FromSeconds(cut.needed_gap), now) + kRounding;
  if (!cut.batch) return;
  batch->selection.variant = cut.batch->review->best;
  batch->selection.predicted_seconds = cut.batch->seconds;
  batch->work = cut.batch->work;
  batch->review = *std::move(cut.batch);
}

void BatchQueue::Bind(const QueueEntry& entry, const Selection& selection,
                      const QueueSnapshot& snapshot, std::span<const VariantState> variants,
                      TimePoint now, TakenRows* taken) {
  PendingRequest& pending = *taken->pending;
  const int variant = selection.variant;
  const double seconds =
      AloneSeconds(variants[static_cast<size_t>(variant)].cost, entry.total, snapshot.limits);
  taken->is_first = true;
  const bool is_cascade = pending.refinement.variant >= 0;
  taken->reason = is_cascade ? SelectionReason::kCascade
                             : selector_->Reason(entry, variant, snapshot, variants);
  taken->queue_time = now - pending.pushed;
  backstop_.OnStarted(pending.pushed, pending.request.deadline - pending.request.arrival, now);
  if (taken->reason == SelectionReason::kDegraded) {
    taken->degraded_from = BestInTime(variants, entry.admissible, entry.total, snapshot.limits,
                                      snapshot.safety, ToSeconds(entry.deadline - entry.arrival));
  }
  pending.variant = variant;
  Answer& answer = pending.answer;
  answer.variant = variant;
  answer.reason = taken->reason;
  answer.queue = taken->queue_time;
  if (!is_cascade) {
    answer.predicted = now - entry.arrival + options_.reply_margin +
                       FromSeconds(std::max(seconds, selection.predicted_seconds));
  }
  answer.num_outputs = options_.num_outputs[static_cast<size_t>(variant)];
  answer.outputs.resize(pending.encoded.lengths.size() * static_cast<size_t>(answer.num_outputs));
}

void BatchQueue::Take(QueueItems::iterator item, int rows, const QueueSnapshot& snapshot,
                      std::span<const VariantState> variants, TimePoint now, CutBatch* batch) {
  PendingRequest& pending = *item->second.pending;
  QueueEntry& entry = item->second.entry;
  const int variant = batch->selection.variant;
  TakenRows taken{.pending = item->second.pending,
                  .first_row = pending.rows_taken,
                  .rows = rows,
                  .first_token = pending.tokens_taken};
  if (pending.variant < 0) Bind(entry, batch->selection, snapshot, variants, now, &taken);
  WorkShape work;
  for (int i = 0; i < rows; ++i) {
    const int32_t length = entry.lengths[static_cast<size_t>(i)];
    work.Add(length);
    entry.waiting.Remove(length);
    batch->work.Add(length);
  }
  CountWaiting(entry.priority, 0, work, -1);
  pending.rows_taken += rows;
  pending.tokens_taken += static_cast<size_t>(work.tokens);
  entry.lengths = entry.lengths.subspan(static_cast<size_t>(rows));
  // All of a request runs with the same variant, or its scores could not be compared.
  entry.admissible = OneVariant(variant);
  entry.cheapest = variant;
  batch->taken.push_back(std::move(taken));
  if (entry.lengths.empty()) Remove(item);
}

}  // namespace tailor
