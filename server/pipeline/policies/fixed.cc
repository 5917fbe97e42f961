// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/fixed.h"

#include <utility>

#include "server/pipeline/batch_filling.h"

namespace tailor {

Selection FixedPolicy::Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                              TimePoint now) {
  Selection selection;
  for (size_t head = 0; head < queue.entries.size(); ++head) {
    const QueueEntry& entry = queue.entries[head];
    const int only = CheapestVariant(variants, entry.admissible, entry.waiting, queue.limits);
    const bool is_hopeless =
        only < 0 || AloneSeconds(variants[static_cast<size_t>(only)].cost, entry.waiting,
                                 queue.limits) > ToSeconds(entry.deadline - now);
    if (is_hopeless) {
      selection.hopeless.push_back(static_cast<int>(head));
      continue;
    }
    Filling filling = BatchFilling(queue, variants, now, head).Fill(only);
    selection.variant = filling.variant;
    selection.portions = std::move(filling.portions);
    selection.predicted_seconds = filling.seconds;
    selection.reason = Reason(entry, only, queue, variants);
    return selection;
  }
  return selection;
}

}  // namespace tailor
