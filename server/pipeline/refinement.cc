// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/refinement.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace tailor {
namespace {

// One document scored twice keeps its place.
constexpr int kLeastRows = 2;

constexpr double kNoBound = std::numeric_limits<double>::infinity();

}  // namespace

void RefinementList::Begin(const PendingPtr& pending) {
  const std::vector<float>& scores = pending->answer.outputs;
  Refinement& refinement = pending->refinement;
  refinement.order.resize(scores.size());
  std::iota(refinement.order.begin(), refinement.order.end(), 0);
  std::stable_sort(refinement.order.begin(), refinement.order.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  refinement.first_tokens.reserve(scores.size());
  size_t token = 0;
  for (const int32_t length : pending->encoded.lengths) {
    refinement.first_tokens.push_back(token);
    token += static_cast<size_t>(length);
  }
  refinement.scores.resize(scores.size());
  waiting_.emplace(KeyOf(*pending), pending);
}

void RefinementList::Continue(const PendingPtr& pending) {
  running_.erase(KeyOf(*pending));
  waiting_.emplace(KeyOf(*pending), pending);
}

void RefinementList::Remove(const PendingRequest& pending) {
  waiting_.erase(KeyOf(pending));
  running_.erase(KeyOf(pending));
}

RefinementBatch RefinementList::Fill(const PendingPtr& pending,
                                     std::span<const VariantState> variants, double seconds_left,
                                     double most_seconds, double safety) const {
  const Refinement& refinement = pending->refinement;
  const VariantState& state = variants[static_cast<size_t>(refinement.variant)];
  RefinementBatch batch{.pending = pending, .first = refinement.done, .rows = 0, .work = {}};
  if (!state.is_available) return batch;
  const BatchLimits limits = limits_.Get();
  const auto first = static_cast<size_t>(batch.first);
  for (size_t i = first; i < refinement.order.size(); ++i) {
    const int32_t length = pending->encoded.lengths[static_cast<size_t>(refinement.order[i])];
    WorkShape work = batch.work;
    work.Add(length);
    const double seconds = BatchSeconds(state.cost, work);
    const bool is_full = work.rows > limits.max_sequences || work.tokens > limits.max_tokens ||
                         IsFullBatch(state.cost, batch.work);
    if (is_full || seconds > most_seconds) break;
    // The first of all alone would keep its place.
    if (safety * seconds > seconds_left) {
      if (batch.first + batch.rows < kLeastRows) batch.rows = 0;
      break;
    }
    batch.work = work;
    batch.seconds = seconds;
    ++batch.rows;
  }
  return batch;
}

std::optional<RefinementBatch> RefinementList::Cut(double most_seconds, double safety,
                                                   std::span<const VariantState> variants,
                                                   TimePoint now, std::vector<PendingPtr>* done) {
  while (!waiting_.empty()) {
    Items::node_type first = waiting_.extract(waiting_.begin());
    const PendingPtr pending = first.mapped();
    RefinementBatch batch =
        Fill(pending, variants, SecondsLeft(*pending, now), most_seconds, safety);
    if (batch.rows > 0) {
      running_.insert(std::move(first));
      return batch;
    }
    done->push_back(pending);
  }
  return std::nullopt;
}

void RefinementList::TakeLate(double seconds, double safety, std::span<const VariantState> variants,
                              TimePoint now, std::vector<PendingPtr>* done) {
  for (auto item = waiting_.begin(); item != waiting_.end();) {
    const double left = SecondsLeft(*item->second, now) - safety * seconds;
    if (Fill(item->second, variants, left, kNoBound, safety).rows > 0) {
      ++item;
    } else {
      done->push_back(item->second);
      item = waiting_.erase(item);
    }
  }
}

void RefinementList::TakeAll(std::vector<PendingPtr>* done) {
  for (auto& [key, pending] : waiting_) done->push_back(std::move(pending));
  waiting_.clear();
}

std::optional<TimePoint> RefinementList::NextDue() const {
  std::optional<TimePoint> due;
  for (const Items* items : {&waiting_, &running_}) {
    if (items->empty()) continue;
    const TimePoint first = DueTime(*items->begin()->second);
    due = due ? std::min(*due, first) : first;
  }
  return due;
}

void RefinementList::TakeDue(TimePoint now, std::vector<PendingPtr>* done) {
  for (Items* items : {&waiting_, &running_}) {
    while (!items->empty() && DueTime(*items->begin()->second) <= now) {
      done->push_back(std::move(items->begin()->second));
      items->erase(items->begin());
    }
  }
}

void MergePasses(const PendingRequest& pending, const CascadeTable& table, Answer* answer) {
  const Refinement& refinement = pending.refinement;
  if (refinement.done == 0) {
    if (refinement.variant >= 0) answer->reason = SelectionReason::kDegraded;
    return;
  }
  const int first = answer->variant;
  const std::vector<float> first_scores = std::move(answer->outputs);
  const auto num_twice = static_cast<std::ptrdiff_t>(refinement.done);
  answer->outputs.resize(first_scores.size());
  answer->variants.assign(first_scores.size(), first);
  answer->order = refinement.order;
  std::stable_sort(answer->order.begin(), answer->order.begin() + num_twice,
                   [&](int32_t a, int32_t b) {
                     return refinement.scores[static_cast<size_t>(a)] >
                            refinement.scores[static_cast<size_t>(b)];
                   });
  // A calibrated score is a mean: that of a good document can be below that of a bad one by
  // another variant. Scores must fall along the order all the same.
  float bound = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < answer->order.size(); ++i) {
    const auto row = static_cast<size_t>(answer->order[i]);
    const bool is_twice = static_cast<std::ptrdiff_t>(i) < num_twice;
    if (is_twice) {
      answer->variants[row] = refinement.variant;
      answer->tokens += pending.encoded.lengths[row];
    }
    const float score = is_twice ? refinement.scores[row] : first_scores[row];
    bound = std::min(bound, table.Calibrated(answer->variants[row], score));
    answer->outputs[row] = bound;
  }
  answer->variant = refinement.variant;
  answer->reason = SelectionReason::kCascade;
  answer->cascade_quality = table.Quality(
      first, refinement.variant,
      static_cast<double>(refinement.done) / static_cast<double>(first_scores.size()));
}

}  // namespace tailor
