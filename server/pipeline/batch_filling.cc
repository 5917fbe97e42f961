// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/batch_filling.h"

#include <algorithm>

namespace tailor {

BatchFilling::BatchFilling(const QueueSnapshot& queue, std::span<const VariantState> variants,
                           TimePoint now, size_t head)
    : queue_(queue), variants_(variants), now_(now), head_(head) {}

int BatchFilling::AddRows(const QueueEntry& entry, const CostCoefficients& cost,
                          WorkShape* work) const {
  int rows = 0;
  for (const int32_t length : entry.lengths) {
    const bool fits = work->rows < queue_.limits.max_sequences &&
                      work->tokens + length <= queue_.limits.max_tokens;
    if (!fits || IsFullBatch(cost, *work)) break;
    work->Add(length);
    ++rows;
  }
  return rows;
}

double BatchFilling::FinishSeconds(const QueueEntry& entry, int rows, int variant,
                                   double batch_seconds) const {
  if (rows == static_cast<int>(entry.lengths.size())) return batch_seconds;
  WorkShape rest = entry.waiting;
  for (const int32_t length : entry.lengths.first(static_cast<size_t>(rows))) rest.Remove(length);
  return batch_seconds + AloneSeconds(CostOf(variant), rest, queue_.limits);
}

bool BatchFilling::MayJoin(const QueueEntry& entry, const Filling& filling,
                           double time_left) const {
  if (!Contains(entry.admissible, filling.variant)) return false;
  if (entry.is_pinned || !variants_[static_cast<size_t>(filling.variant)].quality) return true;
  const double quality = *variants_[static_cast<size_t>(filling.variant)].quality;
  // Better alone: some better variant still answers in time after this batch.
  for (size_t i = 0; i < variants_.size(); ++i) {
    const VariantState& state = variants_[i];
    const bool is_better = Contains(entry.admissible, static_cast<int>(i)) && state.is_available &&
                           state.quality.value_or(-1) > quality;
    if (!is_better) continue;
    const double alone = AloneSeconds(state.cost, entry.waiting, queue_.limits);
    if (queue_.safety * (filling.seconds + alone) <= time_left) return false;
  }
  return true;
}

Filling BatchFilling::Fill(int variant) const {
  const CostCoefficients& cost = CostOf(variant);
  const QueueEntry& head = queue_.entries[head_];
  Filling filling{.variant = variant, .portions = {}, .work = {}, .seconds = 0};
  const int head_rows = AddRows(head, cost, &filling.work);
  filling.portions.push_back({static_cast<int>(head_), head_rows});
  filling.seconds = BatchSeconds(cost, filling.work);
  double least_time_left = TimeLeft(head);
  // A head that is late by the safety factor alone must not run by itself: under overload that
  // would be every head, and small batches would make the overload worse.
  const double guard = queue_.safety * filling.seconds <= least_time_left ? queue_.safety : 1;
  for (size_t i = head_ + 1; i < queue_.entries.size(); ++i) {
    if (IsFullBatch(cost, filling.work)) break;
    const QueueEntry& entry = queue_.entries[i];
    const double time_left = TimeLeft(entry);
    if (!MayJoin(entry, filling, time_left)) continue;
    WorkShape work = filling.work;
    const int rows = AddRows(entry, cost, &work);
    if (rows == 0) continue;
    const double seconds = BatchSeconds(cost, work);
    const double finish = FinishSeconds(entry, rows, variant, seconds);
    if (queue_.safety * finish > time_left || guard * seconds > least_time_left) continue;
    filling.work = work;
    filling.seconds = seconds;
    filling.portions.push_back({static_cast<int>(i), rows});
    least_time_left = std::min(least_time_left, time_left);
  }
  return filling;
}

bool BatchFilling::MeetsDeadlines(const Filling& filling, int cheapest) const {
  const QueueEntry& head = queue_.entries[head_];
  const int head_rows = filling.portions[0].rows;
  const double safety = queue_.safety;
  const double head_finish = FinishSeconds(head, head_rows, filling.variant, filling.seconds);
  if (safety * head_finish > TimeLeft(head)) return false;
  double with_choice = head_finish;
  double with_cheapest =
      FinishSeconds(head, head_rows, cheapest, BatchSeconds(CostOf(cheapest), filling.work));
  size_t next_portion = 1;
  for (size_t i = head_ + 1; i < queue_.entries.size(); ++i) {
    const QueueEntry& entry = queue_.entries[i];
    if (next_portion < filling.portions.size() &&
        filling.portions[next_portion].entry == static_cast<int>(i)) {
      const bool is_whole =
          filling.portions[next_portion].rows == static_cast<int>(entry.lengths.size());
      ++next_portion;
      // Fill has seen to its deadline.
      if (is_whole) continue;
    }
    const double own =
        SharedSeconds(CostOf(entry.cheapest), entry.waiting, queue_.limits) / queue_.num_workers;
    with_choice += own;
    with_cheapest += own;
    const double time_left = TimeLeft(entry);
    if (safety * with_choice > time_left && safety * with_cheapest <= time_left) return false;
  }
  return true;
}

}  // namespace tailor
