// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/tailored.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tailor {
namespace {

// The part of their time within which those behind must be done after an upgrade.
constexpr double kUsableShare = 0.7;
// The price falls by a factor of e in this time.
constexpr double kPriceFallSeconds = 0.02;
constexpr double kExcessWeight = 1.0 / 32;
constexpr double kMaxExcess = 2;

constexpr double kProbeRatio = 1.25;
constexpr Duration kProbeAge = std::chrono::milliseconds(500);
constexpr Duration kProbePeriod = std::chrono::milliseconds(200);

double VariableSeconds(CostCoefficients cost, const WorkShape& work) {
  cost.fixed = 0;
  return BatchSeconds(cost, work);
}

}  // namespace

int TailoredPolicy::OnArrival(const QueueEntry& entry, std::span<const VariantState> /*variants*/,
                              TimePoint now) {
  demand_.Observe(entry, now);
  return -1;
}

void TailoredPolicy::OnRefused(const QueueEntry& entry, TimePoint now) {
  demand_.Observe(entry, now);
}

TimePrice TailoredPolicy::FindPrice(const PriceSearch& search, TimePoint now) {
  TimePrice price = search.Find(found_price_);
  found_price_ = price;
  const double fall = std::exp(-ToSeconds(now - last_price_at_) / kPriceFallSeconds);
  price.first = std::max(price.first, fall * last_price_);
  last_price_ = price.first;
  last_price_at_ = now;
  return price;
}

bool TailoredPolicy::MayJoin(const QueueEntry& entry, size_t index, const Draft& draft,
                             const CostCoefficients& cost, const TimePrice& price) const {
  if (queue_.given_up()[index] || !Contains(entry.admissible, draft.variant)) return false;
  const PricedItem& item = queue_.items()[index];
  if (item.seconds >= 0) return true;  // it has no choice
  if (draft.level < 0) return false;
  const double quality = ladder_.levels()[static_cast<size_t>(draft.level)].quality;
  const double own_price = price.Of(index);
  const Ladder::Level& own =
      ladder_.corner(std::max(item.lowest, ladder_.CornerAt(own_price, item.tokens)));
  if (own.variant == draft.variant) return true;
  return quality - own_price * VariableSeconds(cost, entry.waiting) >=
         own.quality - own_price * excess_ * own.per_token * item.tokens;
}

TailoredPolicy::Draft TailoredPolicy::Fill(const Scene& scene, int variant, int level,
                                           const TimePrice& price) const {
  const QueueSnapshot& queue = scene.queue;
  const CostCoefficients& cost = scene.variants[static_cast<size_t>(variant)].cost;
  Draft draft{.variant = variant, .level = level};
  double least_left = queue_.items()[scene.head].left;
  double guard = queue.safety;
  // Whoever joins must leave time to those that stand before it and do not join.
  double passed_over = 0;
  double latest = std::numeric_limits<double>::infinity();
  const auto pass_over = [&](size_t i) {
    if (queue_.given_up()[i]) return;
    passed_over += queue_.items()[i].least / queue.num_workers;
    const double slack = queue_.items()[i].left / queue.safety - passed_over;
    if (slack >= draft.seconds) latest = std::min(latest, slack);
  };
  for (size_t i = scene.head; i < queue.entries.size(); ++i) {
    if (IsFullBatch(cost, draft.work)) break;
    const QueueEntry& entry = queue.entries[i];
    const bool is_head = i == scene.head;
    if (!is_head && !MayJoin(entry, i, draft, cost, price)) {
      pass_over(i);
      continue;
    }
    WorkShape work = draft.work;
    int rows = 0;
    for (const int32_t length : entry.lengths) {
      const bool fits =
          work.rows < queue.limits.max_sequences && work.tokens + length <= queue.limits.max_tokens;
      if (!fits || IsFullBatch(cost, work)) break;
      work.Add(length);
      ++rows;
    }
    if (rows == 0) {
      pass_over(i);
      continue;
    }
    const double seconds = BatchSeconds(cost, work);
    double finish = seconds;
    if (rows < static_cast<int>(entry.lengths.size())) {
      WorkShape rest = entry.waiting;
      for (int row = 0; row < rows; ++row) rest.Remove(entry.lengths[static_cast<size_t>(row)]);
      finish += AloneSeconds(cost, rest, queue.limits);
    }
    const bool is_in_time = queue.safety * finish <= queue_.items()[i].left;
    if (is_head) {
      draft.is_in_time = is_in_time;
      // A head that is late by the safety factor alone must not run by itself: under overload that
      // would be every head, and small batches would make the overload worse.
      if (queue.safety * seconds > least_left) guard = 1;
    } else if (!is_in_time || guard * seconds > least_left || seconds > latest) {
      pass_over(i);
      continue;
    }
    draft.work = work;
    draft.seconds = seconds;
    draft.finish = finish;
    draft.portions.push_back({static_cast<int>(i), rows});
    least_left = std::min(least_left, queue_.items()[i].left);
    const double part = static_cast<double>(rows) / static_cast<double>(entry.lengths.size());
    draft.answers += part;
    if (queue_.items()[i].seconds >= 0 || level < 0) continue;
    const Ladder::Level& own = ladder_.corner(std::max(
        queue_.items()[i].lowest, ladder_.CornerAt(price.Of(i), queue_.items()[i].tokens)));
    draft.gain += part * (ladder_.levels()[static_cast<size_t>(level)].quality - own.quality +
                          price.Of(i) * excess_ * own.per_token * queue_.items()[i].tokens);
  }
  return draft;
}

double TailoredPolicy::Score(const Draft& draft, const TimePrice& price) const {
  return draft.gain - price.first * draft.seconds - demand_.Loss(draft.seconds, ladder_);
}

TailoredPolicy::Draft TailoredPolicy::Choose(const Scene& scene, const PriceSearch& search,
                                             const TimePrice& price) const {
  const QueueEntry& entry = scene.queue.entries[scene.head];
  const PricedItem& item = queue_.items()[scene.head];
  if (item.seconds >= 0) {
    const int only =
        CheapestVariant(scene.variants, entry.admissible, entry.waiting, scene.queue.limits);
    int level = -1;
    for (size_t i = 0; i < ladder_.levels().size(); ++i) {
      if (ladder_.levels()[i].variant == only) level = static_cast<int>(i);
    }
    return Fill(scene, only, level, price);
  }
  const auto level_at = [&](int corner) { return ladder_.corners()[static_cast<size_t>(corner)]; };
  const auto fill = [&](int level) {
    return Fill(scene, ladder_.levels()[static_cast<size_t>(level)].variant, level, price);
  };
  const int own = std::max(item.lowest, ladder_.CornerAt(price.Of(scene.head), item.tokens));
  std::optional<Draft> best;
  double best_score = 0;
  int worse = 0;
  for (int corner = own; corner >= item.lowest && worse < 1; --corner) {
    Draft draft = fill(level_at(corner));
    if (!draft.is_in_time) {
      // Between two corners there may be a level that is in time.
      for (int level = level_at(corner) - 1; corner > item.lowest && level > level_at(corner - 1);
           --level) {
        if (!Contains(entry.admissible, ladder_.levels()[static_cast<size_t>(level)].variant)) {
          continue;
        }
        draft = fill(level);
        if (draft.is_in_time) break;
      }
      if (!draft.is_in_time) continue;
    }
    const double score = Score(draft, price) - CommitmentCost(scene, draft);
    if (best && score <= best_score) {
      ++worse;
      continue;
    }
    best = std::move(draft);
    best_score = score;
  }
  if (!best) {
    // Nothing is in time with the safety factor: what is fastest comes closest.
    Draft draft = fill(level_at(item.lowest));
    const bool has_faster = entry.cheapest >= 0 && Contains(entry.admissible, entry.cheapest) &&
                            scene.variants[static_cast<size_t>(entry.cheapest)].is_available &&
                            entry.cheapest != draft.variant;
    if (has_faster && draft.finish > item.left) draft = Fill(scene, entry.cheapest, -1, price);
    return draft;
  }
  std::optional<Draft> upgraded = Upgrade(scene, search, price, *best);
  return upgraded ? *std::move(upgraded) : *std::move(best);
}

std::optional<TailoredPolicy::Draft> TailoredPolicy::Upgrade(const Scene& scene,
                                                             const PriceSearch& search,
                                                             const TimePrice& price,
                                                             const Draft& draft) const {
  const QueueEntry& entry = scene.queue.entries[scene.head];
  const std::vector<int>& corners = ladder_.corners();
  const auto above = std::upper_bound(corners.begin(), corners.end(), draft.level);
  if (above == corners.end()) return std::nullopt;
  // The next corner, else what lies half way: more would cost more time than it gains quality.
  const int half_way = draft.level + (*above - draft.level) / 2;
  for (const int level : {*above, half_way}) {
    if (level == draft.level) break;
    const Ladder::Level& better = ladder_.levels()[static_cast<size_t>(level)];
    if (!Contains(entry.admissible, better.variant)) continue;
    const double alone = AloneSeconds(better.cost, entry.waiting, scene.queue.limits);
    if (scene.queue.safety * alone > queue_.items()[scene.head].left) continue;
    Draft candidate = Fill(scene, better.variant, level, price);
    if (!candidate.is_in_time) continue;
    const double gained =
        better.quality - ladder_.levels()[static_cast<size_t>(draft.level)].quality;
    if (demand_.Loss(candidate.seconds, ladder_) - demand_.Loss(draft.seconds, ladder_) >
        gained * candidate.answers)
      continue;
    const Ladder::Level& own = ladder_.levels()[static_cast<size_t>(draft.level)];
    const double dearer = excess_ * (better.per_token - own.per_token);
    const double extra = dearer * ladder_.Tokens(candidate.work);
    if (scene.refusal_price * extra > gained * candidate.answers) continue;
    std::vector<bool> taken = queue_.given_up();
    for (const Portion& portion : candidate.portions) {
      taken[static_cast<size_t>(portion.entry)] = true;
    }
    if (search.LeavesTime(price, taken, candidate.finish, kUsableShare)) return candidate;
  }
  return std::nullopt;
}

std::optional<TailoredPolicy::Draft> TailoredPolicy::Probe(const Scene& scene, const Draft& draft,
                                                           const TimePrice& price) {
  if (draft.level < 0 || scene.now - last_probe_ < kProbePeriod) return std::nullopt;
  const QueueEntry& entry = scene.queue.entries[scene.head];
  const double quality = ladder_.levels()[static_cast<size_t>(draft.level)].quality;
  for (int i = 0; i < static_cast<int>(scene.variants.size()); ++i) {
    const VariantState& state = scene.variants[static_cast<size_t>(i)];
    const bool is_penalised = state.is_available && state.cost.ratio > kProbeRatio &&
                              state.quality.value_or(0) > quality &&
                              Contains(entry.admissible, i) &&
                              scene.now - last_run_[static_cast<size_t>(i)] > kProbeAge;
    if (!is_penalised) continue;
    const double alone = AloneSeconds(state.cost, entry.waiting, scene.queue.limits);
    const double once = alone / state.cost.ratio;
    // It must be worth knowing, harmless even if it is as slow as feared, and leave time to others.
    const bool would_fit = scene.queue.safety * once <= queue_.items()[scene.head].left;
    const bool is_harmless = scene.queue.safety * alone <= queue_.items()[scene.head].left &&
                             scene.queue.entries.size() == scene.head + 1 &&
                             demand_.Loss(alone, ladder_) == 0;
    if (!would_fit || !is_harmless) continue;
    last_probe_ = scene.now;
    return Fill(scene, i, -1, price);
  }
  return std::nullopt;
}

// Deadlines that are too different to share batches make these shorter, and time dearer, than the
// ladder assumes. A short batch that leaves nobody behind says nothing.
void TailoredPolicy::Learn(const Scene& scene, const Draft& draft) {
  last_run_[static_cast<size_t>(draft.variant)] = scene.now;
  if (draft.level < 0) return;
  const double tokens = ladder_.Tokens(draft.work);
  double waiting = 0;
  for (const PricedItem& item : queue_.items()) waiting += item.tokens;
  const double expected = ladder_.levels()[static_cast<size_t>(draft.level)].per_token * tokens;
  const bool leaves_some = waiting >= 2 * tokens && expected > 0;
  const double excess = leaves_some ? std::clamp(draft.seconds / expected, 1.0, kMaxExcess) : 1;
  excess_ += kExcessWeight * (excess - excess_);
}

double TailoredPolicy::CommitmentCost(const Scene& scene, const Draft& draft) const {
  const size_t rows = scene.queue.entries[scene.head].lengths.size();
  const double part = draft.portions[0].rows / static_cast<double>(rows);
  if (part == 1) return 0;
  std::vector<PricedItem> items = queue_.items();
  items[scene.head].seconds = draft.finish;
  items[scene.head].least = draft.finish;
  const double raised = RefusalPrice(scene.queue, items) - scene.refusal_price;
  return part * std::max(0.0, raised) * draft.finish;
}

double TailoredPolicy::RefusalPrice(const QueueSnapshot& queue,
                                    std::span<const PricedItem> items) const {
  if (ladder_.levels().empty()) return 0;
  return demand_.RefusalPrice(
      {.items = items,
       .tail_seconds = ladder_.corner(0).per_token * ladder_.Tokens(queue.tail.waiting),
       .fullness = queue.fullness,
       .speed = queue.num_workers / (queue.safety * excess_)},
      ladder_);
}

Selection TailoredPolicy::Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                                 TimePoint now) {
  last_run_.resize(variants.size(), TimePoint());
  Selection selection;
  const bool is_new = demand_.Update(now);
  ladder_.Update(variants, demand_.mean_length(), demand_.batch_seconds(), queue.limits);
  if (is_new) demand_.Describe(ladder_);
  queue_.Describe(queue, variants, now);
  selection.hopeless = queue_.GiveUp(queue, variants);
  Scene scene{.queue = queue, .variants = variants, .now = now};
  while (scene.head < queue.entries.size() && queue_.given_up()[scene.head]) ++scene.head;
  if (scene.head == queue.entries.size()) return selection;
  const PriceSearch search({.ladder = &ladder_,
                            .items = queue_.items(),
                            .classes = demand_.classes(),
                            .tail = {.tokens = ladder_.Tokens(queue.tail.waiting),
                                     .left = ToSeconds(queue.tail.last_deadline - now)},
                            .tail_requests = static_cast<double>(queue.tail.requests),
                            .speed = queue.num_workers / (queue.safety * excess_)});
  TimePrice price = FindPrice(search, now);
  scene.refusal_price = RefusalPrice(queue, queue_.items());
  price.first = std::max(price.first, scene.refusal_price);
  price.rest = std::max(price.rest, scene.refusal_price);
  Draft draft = Choose(scene, search, price);
  std::optional<Draft> probe = Probe(scene, draft, price);
  if (probe) draft = *probe;
  Learn(scene, draft);
  selection.variant = draft.variant;
  selection.portions = std::move(draft.portions);
  selection.predicted_seconds = draft.seconds;
  last_head_ = queue.entries[scene.head].id;
  last_kind_ = probe              ? SelectionReason::kProbe
               : draft.is_in_time ? SelectionReason::kFit
                                  : SelectionReason::kInfeasible;
  selection.reason = Reason(queue.entries[scene.head], draft.variant, queue, variants);
  return selection;
}

SelectionReason TailoredPolicy::Reason(const QueueEntry& entry, int variant,
                                       const QueueSnapshot& queue,
                                       std::span<const VariantState> variants) const {
  if (entry.is_pinned) return SelectionReason::kPin;
  // Of the last selection's first request; others join only what is in time for them.
  if (entry.id == last_head_ && last_kind_ != SelectionReason::kFit) return last_kind_;
  const double left = ToSeconds(entry.deadline - entry.arrival);
  const std::vector<Ladder::Level>& levels = ladder_.levels();
  for (size_t i = levels.size(); i-- > 0;) {
    if (levels[i].variant == variant) break;
    if (!Contains(entry.admissible, levels[i].variant)) continue;
    if (queue.safety * AloneSeconds(levels[i].cost, entry.total, queue.limits) > left) continue;
    const double quality = variants[static_cast<size_t>(variant)].quality.value_or(0);
    return levels[i].quality > quality ? SelectionReason::kDegraded : SelectionReason::kFit;
  }
  return SelectionReason::kFit;
}

}  // namespace tailor
