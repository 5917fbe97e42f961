// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/aimd.h"

#include <algorithm>

namespace tailor {

int AimdPolicy::OnArrival(const QueueEntry& entry, std::span<const VariantState> /*variants*/,
                          TimePoint /*now*/) {
  mean_.Observe(entry);
  return -1;
}

Selection AimdPolicy::Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                             TimePoint now) {
  models_.resize(variants.size());
  Selection selection;
  const int head = FirstRunnable(queue, variants, &selection);
  if (head < 0) return selection;
  const QueueEntry& first = queue.entries[static_cast<size_t>(head)];
  const double slack = ToSeconds(first.deadline - now);
  double waiting = 0;
  for (const QueueEntry& entry : queue.entries) waiting += mean_.CountOf(entry.waiting);
  int wanted = -1;
  for (const int i : ByQuality(variants, first.admissible, first.waiting)) {
    const VariantState& state = variants[static_cast<size_t>(i)];
    const double batch = std::min(waiting, models_[static_cast<size_t>(i)].batch);
    const double seconds = std::max(ProfiledSeconds(state, mean_.Times(batch), queue.limits),
                                    ProfiledSeconds(state, first.waiting, queue.limits));
    if (queue.safety * seconds <= slack) {
      wanted = i;
      break;
    }
  }
  const int variant = Permitted(first, wanted, variants, queue.limits);
  Model& model = models_[static_cast<size_t>(variant)];
  TakeEarliest(queue, variants, head, variant, model.batch, mean_, &selection);
  selection.reason = Reason(first, variant, queue, variants);
  model.objective = slack;
  model.is_full = waiting >= model.batch;
  return selection;
}

void AimdPolicy::OnBatchDone(const BatchOutcome& outcome, TimePoint /*now*/) {
  const auto index = static_cast<size_t>(outcome.variant);
  if (index >= models_.size()) return;
  Model& model = models_[index];
  if (outcome.seconds > model.objective) {
    model.batch = std::max(1.0, kBackOff * model.batch);
  } else if (model.is_full) {
    model.batch = std::min(kMaxBatch, model.batch + kStep);
  }
}

}  // namespace tailor
