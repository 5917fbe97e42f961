// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/selector.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"

#include "base/nearest_name.h"
#include "server/pipeline/batch_filling.h"

namespace tailor {
namespace {

constexpr std::string_view kTailored = "tailored";
constexpr std::string_view kFixedPrefix = "fixed:";

// The best quality whose predicted finish meets every deadline: those of the batch, and those
// behind it that a cheaper choice would have met.
class TailoredSelector : public Selector {
 public:
  // Variants of unknown quality are chosen by pin only, or when there is nothing else.
  VariantSet Choosable(std::span<const VariantState> variants) const override {
    if (variants.size() == 1) return OneVariant(0);
    VariantSet set = 0;
    for (size_t i = 0; i < variants.size(); ++i) {
      if (variants[i].quality) set |= OneVariant(static_cast<int>(i));
    }
    return set;
  }

  Selection Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                   TimePoint now) const override {
    Selection selection;
    for (size_t head = 0; head < queue.entries.size(); ++head) {
      const QueueEntry& entry = queue.entries[head];
      const int cheapest = CheapestVariant(variants, entry.admissible, entry.waiting, queue.limits);
      const bool is_hopeless =
          cheapest < 0 || AloneSeconds(variants[static_cast<size_t>(cheapest)].cost, entry.waiting,
                                       queue.limits) > ToSeconds(entry.deadline - now);
      if (is_hopeless) {
        selection.hopeless.push_back(static_cast<int>(head));
        continue;
      }
      const BatchFilling filling(queue, variants, now, head);
      Filling chosen =
          Choose(filling, ByQuality(variants, entry.admissible, entry.waiting), cheapest);
      selection.variant = chosen.variant;
      selection.portions = std::move(chosen.portions);
      selection.predicted_seconds = chosen.seconds;
      selection.reason = Reason(entry, chosen.variant, queue, variants);
      return selection;
    }
    return selection;
  }

  SelectionReason Reason(const QueueEntry& entry, int variant, const QueueSnapshot& queue,
                         std::span<const VariantState> variants) const override {
    if (entry.is_pinned) return SelectionReason::kPin;
    if (variants.size() == 1) return SelectionReason::kAlone;
    const int idle = BestInTime(variants, entry.admissible, entry.total, queue.limits, queue.safety,
                                ToSeconds(entry.deadline - entry.arrival));
    if (idle < 0 || idle == variant) return SelectionReason::kFit;
    const double wanted = variants[static_cast<size_t>(idle)].quality.value_or(0);
    const double got = variants[static_cast<size_t>(variant)].quality.value_or(0);
    return got < wanted ? SelectionReason::kDegraded : SelectionReason::kFit;
  }

 private:
  // When nothing meets every deadline the cheapest comes closest.
  static Filling Choose(const BatchFilling& filling, const std::vector<int>& by_quality,
                        int cheapest) {
    for (const int variant : by_quality) {
      if (variant == cheapest) break;
      Filling candidate = filling.Fill(variant);
      if (filling.MeetsDeadlines(candidate, cheapest)) return candidate;
    }
    return filling.Fill(cheapest);
  }
};

// One variant for every request without a pin.
class FixedSelector final : public TailoredSelector {
 public:
  explicit FixedSelector(int variant) : variant_(variant) {}

  VariantSet Choosable(std::span<const VariantState>) const override {
    return OneVariant(variant_);
  }
  SelectionReason Reason(const QueueEntry& entry, int, const QueueSnapshot&,
                         std::span<const VariantState>) const override {
    return entry.is_pinned ? SelectionReason::kPin : SelectionReason::kFixed;
  }

 private:
  const int variant_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Selector>> MakeSelector(std::string_view policy,
                                                       std::span<const std::string> ids) {
  if (policy == kTailored) return std::make_unique<TailoredSelector>();
  std::vector<std::string> known = {std::string(kTailored)};
  for (size_t i = 0; i < ids.size(); ++i) {
    known.push_back(absl::StrCat(std::string(kFixedPrefix), ids[i]));
    if (policy == known.back()) return std::make_unique<FixedSelector>(static_cast<int>(i));
  }
  const std::string nearest = NearestName(policy, known);
  return absl::InvalidArgumentError(
      absl::StrCat("policy: expected tailored or fixed:VARIANT, got \"", std::string(policy), "\"",
                   nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?")));
}

std::vector<int> ByQuality(std::span<const VariantState> variants, VariantSet set,
                           const WorkShape& work) {
  std::vector<int> order;
  for (int i = 0; i < static_cast<int>(variants.size()); ++i) {
    if (Contains(set, i) && variants[static_cast<size_t>(i)].is_available) order.push_back(i);
  }
  const auto key = [&](int i) {
    const VariantState& state = variants[static_cast<size_t>(i)];
    return std::pair(-state.quality.value_or(-1), BatchSeconds(state.cost, work));
  };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return key(a) < key(b); });
  return order;
}

int CheapestVariant(std::span<const VariantState> variants, VariantSet set, const WorkShape& work,
                    const BatchLimits& limits) {
  int cheapest = -1;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < static_cast<int>(variants.size()); ++i) {
    const VariantState& state = variants[static_cast<size_t>(i)];
    if (!Contains(set, i) || !state.is_available) continue;
    const double seconds = AloneSeconds(state.cost, work, limits);
    if (cheapest < 0 || seconds < least) {
      cheapest = i;
      least = seconds;
    }
  }
  return cheapest;
}

int BestInTime(std::span<const VariantState> variants, VariantSet set, const WorkShape& work,
               const BatchLimits& limits, double safety, double seconds) {
  for (const int i : ByQuality(variants, set, work)) {
    const CostCoefficients& cost = variants[static_cast<size_t>(i)].cost;
    if (safety * AloneSeconds(cost, work, limits) <= seconds) return i;
  }
  return -1;
}

}  // namespace tailor
