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
// A request waits for the batch that runs and for its own: both must fit, with a margin, the
// budgets of all but this share of the requests.
constexpr double kBatchShare = 0.45;
constexpr double kTightShare = 0.25;
// Admission refuses who would have to wait longer than this part of the time it can: the share of
// the least important, 0.8, over the usual safety factor.
constexpr double kBearableShare = 0.7;
// Classes are estimated over a second: no need to do it for every batch.
constexpr Duration kClassesAge = std::chrono::milliseconds(5);
// Of the time, what expected work may take. The queue corrects what this leaves or misses.
constexpr double kUtilization = 1.1;

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
  forecast_.Observe(entry, now);
  return -1;
}

int TailoredPolicy::FirstLevel(const QueueEntry& entry) const {
  const std::vector<Ladder::Level>& levels = ladder_.levels();
  for (size_t i = 0; i < levels.size(); ++i) {
    if (Contains(entry.admissible, levels[i].variant)) return static_cast<int>(i);
  }
  return -1;
}

void TailoredPolicy::Forecast(TimePoint now) {
  classes_at_ = now;
  forecast_classes_ = forecast_.Classes(now);
  double total = 0;
  for (const DemandForecast::Class& one : forecast_classes_) total += one.rate;
  double tight = 0;
  for (const DemandForecast::Class& one : forecast_classes_) {
    tight += one.rate;
    batch_seconds_ = kBatchShare * one.budget;
    if (tight >= kTightShare * total) break;
  }
}

void TailoredPolicy::Describe(const QueueSnapshot& queue, std::span<const VariantState> variants,
                              TimePoint now) {
  const bool is_new = now - classes_at_ >= kClassesAge;
  if (is_new) Forecast(now);
  ladder_.Update(variants, forecast_.mean_length(), batch_seconds_, queue.limits);
  const bool has_ladder = !ladder_.levels().empty();
  items_.clear();
  for (const QueueEntry& entry : queue.entries) {
    PricedItem item{.tokens = ladder_.Tokens(entry.waiting),
                    .left = ToSeconds(entry.deadline - now)};
    const bool is_free = !entry.is_pinned && entry.waiting.rows == entry.total.rows;
    const bool has_all =
        is_free && has_ladder && Contains(entry.admissible, ladder_.corner(0).variant);
    if (!has_all) {
      const int corners = static_cast<int>(ladder_.corners().size());
      item.lowest = 0;
      while (item.lowest < corners &&
             !Contains(entry.admissible, ladder_.corner(item.lowest).variant)) {
        ++item.lowest;
      }
      if (!is_free || item.lowest == corners) {
        const int only = CheapestVariant(variants, entry.admissible, entry.waiting, queue.limits);
        item.seconds = only < 0 ? 0
                                : SharedSeconds(variants[static_cast<size_t>(only)].cost,
                                                entry.waiting, queue.limits);
      }
    }
    item.least = LeastSeconds(entry, item, variants, queue.limits);
    items_.push_back(item);
  }
  if (!is_new) return;
  classes_.clear();
  if (!has_ladder) return;
  for (const DemandForecast::Class& one : forecast_classes_) {
    classes_.push_back(
        {.rate = one.rate, .budget = one.budget, .tokens = ladder_.Tokens(one.work)});
  }
}

bool TailoredPolicy::IsLost(const QueueEntry& entry, const PricedItem& item,
                            std::span<const VariantState> variants,
                            const BatchLimits& limits) const {
  const auto alone = [&](int variant) {
    return AloneSeconds(variants[static_cast<size_t>(variant)].cost, entry.waiting, limits);
  };
  const auto is_usable = [&](int variant) {
    return variant >= 0 && variants[static_cast<size_t>(variant)].is_available &&
           Contains(entry.admissible, variant);
  };
  if (item.seconds < 0) {
    const Ladder::Level& lowest = ladder_.corner(item.lowest);
    // Nearly all: far from lost, and no need to be exact.
    if (item.left > 4 * (lowest.per_token * item.tokens + lowest.cost.fixed * lowest.cost.ratio)) {
      return false;
    }
    if (alone(lowest.variant) <= item.left) return false;
  }
  if (is_usable(entry.cheapest)) return alone(entry.cheapest) > item.left;
  const int cheapest = CheapestVariant(variants, entry.admissible, entry.waiting, limits);
  return cheapest < 0 || alone(cheapest) > item.left;
}

double TailoredPolicy::LeastSeconds(const QueueEntry& entry, const PricedItem& item,
                                    std::span<const VariantState> variants,
                                    const BatchLimits& limits) const {
  if (item.seconds >= 0) return item.seconds;
  const double lowest = ladder_.corner(item.lowest).per_token * item.tokens;
  // What a request with a minimum quality admits may be no corner: its evaluated quality is above
  // the minimum, its live one below that of a variant that costs no more.
  const bool has_other = item.lowest > 0 && entry.cheapest >= 0 &&
                         Contains(entry.admissible, entry.cheapest) &&
                         variants[static_cast<size_t>(entry.cheapest)].is_available;
  if (!has_other) return lowest;
  const CostCoefficients& cost = variants[static_cast<size_t>(entry.cheapest)].cost;
  return std::min(lowest, SharedSeconds(cost, entry.waiting, limits));
}

void TailoredPolicy::GiveUp(const QueueSnapshot& queue, std::span<const VariantState> variants,
                            Selection* selection) {
  given_up_.assign(queue.entries.size(), false);
  double total = 0;
  for (size_t i = 0; i < queue.entries.size(); ++i) {
    if (IsLost(queue.entries[i], items_[i], variants, queue.limits)) {
      given_up_[i] = true;
      continue;
    }
    total += items_[i].least;
    while (total > items_[i].left * queue.num_workers) {
      size_t victim = i;
      for (size_t j = 0; j <= i; ++j) {
        const QueueEntry& entry = queue.entries[j];
        if (given_up_[j] || entry.waiting.rows < entry.total.rows) continue;
        const QueueEntry& other = queue.entries[victim];
        if (std::pair(-entry.priority, items_[j].least) >
            std::pair(-other.priority, items_[victim].least)) {
          victim = j;
        }
      }
      // What runs already is finished.
      const bool has_begun = queue.entries[victim].waiting.rows < queue.entries[victim].total.rows;
      if (has_begun || given_up_[victim]) break;
      given_up_[victim] = true;
      total -= items_[victim].least;
    }
  }
  for (size_t i = 0; i < queue.entries.size(); ++i) {
    if (given_up_[i]) selection->hopeless.push_back(static_cast<int>(i));
  }
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
  if (given_up_[index] || !Contains(entry.admissible, draft.variant)) return false;
  const PricedItem& item = items_[index];
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
  double least_left = items_[scene.head].left;
  double guard = queue.safety;
  // Whoever joins must leave time to those that stand before it and do not join.
  double passed_over = 0;
  double latest = std::numeric_limits<double>::infinity();
  const auto pass_over = [&](size_t i) {
    if (given_up_[i]) return;
    passed_over += items_[i].least / queue.num_workers;
    const double slack = items_[i].left / queue.safety - passed_over;
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
    const bool is_in_time = queue.safety * finish <= items_[i].left;
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
    least_left = std::min(least_left, items_[i].left);
    const double part = static_cast<double>(rows) / static_cast<double>(entry.lengths.size());
    draft.answers += part;
    if (items_[i].seconds >= 0 || level < 0) continue;
    const Ladder::Level& own =
        ladder_.corner(std::max(items_[i].lowest, ladder_.CornerAt(price.Of(i), items_[i].tokens)));
    draft.gain += part * (ladder_.levels()[static_cast<size_t>(level)].quality - own.quality +
                          price.Of(i) * excess_ * own.per_token * items_[i].tokens);
  }
  return draft;
}

double TailoredPolicy::Loss(double seconds) const {
  if (classes_.empty()) return 0;
  const Ladder::Level& cheapest = ladder_.corner(0);
  double lost = 0;
  for (const PricedClass& one : classes_) {
    const double alone =
        cheapest.per_token * one.tokens + cheapest.cost.fixed * cheapest.cost.ratio;
    const double bearable = kBearableShare * std::max(0.0, one.budget - alone);
    lost += one.rate * std::max(0.0, seconds - bearable);
  }
  return lost * cheapest.quality;
}

double TailoredPolicy::Score(const Draft& draft, const TimePrice& price) const {
  return draft.gain - price.first * draft.seconds - Loss(draft.seconds);
}

TailoredPolicy::Draft TailoredPolicy::Choose(const Scene& scene, const PriceSearch& search,
                                             const TimePrice& price) const {
  const QueueEntry& entry = scene.queue.entries[scene.head];
  const PricedItem& item = items_[scene.head];
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
    const double score = Score(draft, price);
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
    if (scene.queue.safety * alone > items_[scene.head].left) continue;
    Draft candidate = Fill(scene, better.variant, level, price);
    if (!candidate.is_in_time) continue;
    const double gained =
        better.quality - ladder_.levels()[static_cast<size_t>(draft.level)].quality;
    if (Loss(candidate.seconds) - Loss(draft.seconds) > gained * candidate.answers) continue;
    std::vector<bool> taken = given_up_;
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
    const bool would_fit = scene.queue.safety * once <= items_[scene.head].left;
    const bool is_harmless = scene.queue.safety * alone <= items_[scene.head].left &&
                             scene.queue.entries.size() == scene.head + 1 && Loss(alone) == 0;
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
  for (const PricedItem& item : items_) waiting += item.tokens;
  const double expected = ladder_.levels()[static_cast<size_t>(draft.level)].per_token * tokens;
  const bool leaves_some = waiting >= 2 * tokens && expected > 0;
  const double excess = leaves_some ? std::clamp(draft.seconds / expected, 1.0, kMaxExcess) : 1;
  excess_ += kExcessWeight * (excess - excess_);
}

Selection TailoredPolicy::Select(const QueueSnapshot& queue, std::span<const VariantState> variants,
                                 TimePoint now) {
  last_run_.resize(variants.size(), TimePoint());
  Selection selection;
  Describe(queue, variants, now);
  GiveUp(queue, variants, &selection);
  Scene scene{.queue = queue, .variants = variants, .now = now};
  while (scene.head < queue.entries.size() && given_up_[scene.head]) ++scene.head;
  if (scene.head == queue.entries.size()) return selection;
  // What is given up costs nothing any more and is in nobody's way.
  for (size_t i = 0; i < items_.size(); ++i) {
    if (given_up_[i]) items_[i] = {.left = std::numeric_limits<double>::infinity(), .seconds = 0};
  }
  const PriceSearch search({.ladder = &ladder_,
                            .items = items_,
                            .classes = classes_,
                            .tail = {.tokens = ladder_.Tokens(queue.tail.waiting),
                                     .left = ToSeconds(queue.tail.last_deadline - now)},
                            .tail_requests = static_cast<double>(queue.tail.requests),
                            .speed = queue.num_workers / (queue.safety * excess_),
                            .utilization = kUtilization});
  const TimePrice price = FindPrice(search, now);
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
