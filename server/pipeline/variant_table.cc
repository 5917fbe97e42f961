// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/variant_table.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine/model/ladder.h"

namespace tailor {
namespace {

// The length whose cost decides the ladder: a usual pair.
constexpr int64_t kLadderTokens = 128;

std::vector<EvaluatedQuality> Evaluated(std::span<const ServedVariant> served) {
  std::vector<EvaluatedQuality> evaluated(served.size());
  for (size_t i = 0; i < served.size(); ++i) {
    if (!served[i].quality) continue;
    const Quality& quality = *served[i].quality;
    evaluated[i] = {.value = quality.ndcg10,
                    .half_width = std::max(0.0, (quality.ci_high - quality.ci_low) / 2)};
  }
  return evaluated;
}

WorkShape OneSequence(int64_t tokens) {
  WorkShape work;
  work.Add(tokens);
  return work;
}

}  // namespace

VariantTable::VariantTable(std::span<const ServedVariant> served, Recorder* recorder,
                           const LiveQualityOptions& live_quality)
    : served_(served),
      recorder_(recorder),
      rows_(served.size()),
      window_(recorder),
      qualities_(recorder, Evaluated(served),
                 live_quality.share > 0 ? live_quality.expected : AgreementTable()) {
  const MutexLock lock(&mutex_);
  for (Row& row : rows_) row.state.is_available = false;
  UpdateQualities(TimePoint());
}

void VariantTable::UpdateQualities(TimePoint now) {
  qualities_read_ = now;
  qualities_.Update();
  for (size_t i = 0; i < rows_.size(); ++i) {
    const int variant = static_cast<int>(i);
    rows_[i].state.quality = qualities_.Quality(variant);
    recorder_->SetVariantQuality(variant, rows_[i].state.quality.value_or(0));
  }
}

void VariantTable::ShowPrediction(int variant) {
  const CostCoefficients& cost = rows_[static_cast<size_t>(variant)].state.cost;
  for (size_t i = 0; i < std::size(kLengthBuckets); ++i) {
    recorder_->SetPredicted(variant, static_cast<int>(i),
                            BatchSeconds(cost, OneSequence(kLengthBuckets[i])));
  }
}

void VariantTable::SetCost(int variant, const CostCoefficients& fitted, TimePoint now) {
  const MutexLock lock(&mutex_);
  Row& row = rows_[static_cast<size_t>(variant)];
  row.state.cost = fitted;
  row.state.cost.ratio = window_.Ratio(variant, now);
  if (row.is_broken) return;
  row.state.is_available = true;
  recorder_->SetVariantCondition(variant, VariantCondition::kReady);
  ShowPrediction(variant);
}

void VariantTable::SetBroken(int variant) {
  const MutexLock lock(&mutex_);
  Row& row = rows_[static_cast<size_t>(variant)];
  row.is_broken = true;
  row.state.is_available = false;
  recorder_->SetVariantCondition(variant, VariantCondition::kQuarantined);
}

std::vector<VariantState> VariantTable::States(TimePoint now) {
  std::vector<VariantState> states;
  states.reserve(served_.size());
  const MutexLock lock(&mutex_);
  window_.Update(now);
  if (now - qualities_read_ >= kQualityPeriod) UpdateQualities(now);
  const double shared = window_.Shared(now);
  for (size_t i = 0; i < rows_.size(); ++i) {
    TryAgain(static_cast<int>(i), now);
    rows_[i].state.cost.ratio = window_.Ratio(static_cast<int>(i), shared, now);
    states.push_back(rows_[i].state);
  }
  return states;
}

void VariantTable::OnBatch(int variant, bool ok, TimePoint now) {
  const MutexLock lock(&mutex_);
  Row& row = rows_[static_cast<size_t>(variant)];
  if (ok) {
    row.failures = 0;
    if (row.state.is_available) row.rest = Duration::zero();
    row.state.cost.ratio = window_.Ratio(variant, now);
    ShowPrediction(variant);
    return;
  }
  if (++row.failures < kMaxFailures || !row.state.is_available) return;
  Quarantine(variant, now);
}

void VariantTable::Quarantine(int variant, TimePoint now) {
  Row& row = rows_[static_cast<size_t>(variant)];
  row.rest = std::min(kLongestRest, row.rest == Duration::zero() ? kFirstRest : 2 * row.rest);
  row.rest_ends = now + row.rest;
  row.state.is_available = false;
  recorder_->SetVariantCondition(variant, VariantCondition::kQuarantined);
  Log(LogLevel::kError, "variant quarantined",
      {{"variant", served_[static_cast<size_t>(variant)].id},
       {"failures", row.failures},
       {"rest_s", ToSeconds(row.rest)}});
}

void VariantTable::TryAgain(int variant, TimePoint now) {
  Row& row = rows_[static_cast<size_t>(variant)];
  const bool rests = row.rest > Duration::zero() && !row.state.is_available;
  if (!rests || row.is_broken || now < row.rest_ends) return;
  row.state.is_available = true;
  recorder_->SetVariantCondition(variant, VariantCondition::kReady);
  Log(LogLevel::kInfo, "variant tried again",
      {{"variant", served_[static_cast<size_t>(variant)].id}});
}

std::vector<bool> VariantTable::OnLadder(TimePoint now) {
  std::vector<LadderEntry> entries;
  const std::vector<VariantState> states = States(now);
  const std::vector<EvaluatedQuality> evaluated = Evaluated(served_);
  for (size_t i = 0; i < states.size(); ++i) {
    // As fitted: the ladder is a property of the family, not of the moment.
    entries.push_back({.id = served_[i].id,
                       .cost = ModeledSeconds(states[i].cost, OneSequence(kLadderTokens)),
                       .quality = states[i].is_available ? evaluated[i].value : std::nullopt});
  }
  return tailor::OnLadder(entries);
}

}  // namespace tailor
