// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/live_quality.h"

#include <algorithm>
#include <utility>

#include "server/pipeline/admission.h"
#include "server/pipeline/rank_order.h"

namespace tailor {
namespace {

// A shorter budget counts at once, and is forgotten over this many requests.
constexpr double kBudgetWeight = 1.0 / 64;

// splitmix64's finaliser (Steele, Lea and Flood, 2014): equal parts of all 64 bits.
uint64_t Mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

double InUnitInterval(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

VariantSet Rankers(std::span<const ServedVariant> served) {
  Request any;
  return AdmissibleVariants(any, served, AllVariants()).value_or(VariantSet());
}

// Every n-th row when there are too many, so that those kept are spread over the list.
std::vector<int32_t> KeptRows(size_t count, size_t most) {
  std::vector<int32_t> rows(std::min(count, most));
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<int32_t>(i * count / rows.size());
  }
  return rows;
}

EncodedRequest PartOf(const EncodedRequest& encoded, std::span<const int32_t> rows) {
  EncodedRequest part;
  size_t token = 0;
  size_t next = 0;
  for (size_t row = 0; row < encoded.lengths.size() && next < rows.size(); ++row) {
    const auto length = static_cast<size_t>(encoded.lengths[row]);
    if (rows[next] == static_cast<int32_t>(row)) {
      const auto begin = static_cast<std::ptrdiff_t>(token);
      const auto end = static_cast<std::ptrdiff_t>(token + length);
      part.ids.insert(part.ids.end(), encoded.ids.begin() + begin, encoded.ids.begin() + end);
      part.types.insert(part.types.end(), encoded.types.begin() + begin,
                        encoded.types.begin() + end);
      part.lengths.push_back(encoded.lengths[row]);
      part.work.Add(encoded.lengths[row]);
      ++next;
    }
    token += length;
  }
  return part;
}

// The order of the kept rows, by their new numbers.
std::vector<int32_t> PartOf(std::span<const int32_t> order, std::span<const int32_t> rows) {
  std::vector<int32_t> part;
  part.reserve(rows.size());
  for (const int32_t row : order) {
    const auto kept = std::lower_bound(rows.begin(), rows.end(), row);
    if (kept != rows.end() && *kept == row) {
      part.push_back(static_cast<int32_t>(kept - rows.begin()));
    }
  }
  return part;
}

}  // namespace

LiveQuality::LiveQuality(const LiveQualityOptions& options, const CurrentLimits& limits,
                         std::span<const ServedVariant> served, Recorder* recorder)
    : options_(options),
      limits_(limits),
      served_(served),
      rankers_(Rankers(served)),
      recorder_(recorder) {}

void LiveQuality::OnArrival(double budget) {
  const MutexLock lock(&mutex_);
  const bool is_shorter = short_budget_ == 0 || budget < short_budget_;
  short_budget_ += (is_shorter ? 1 : kBudgetWeight) * (budget - short_budget_);
}

bool LiveQuality::IsSampled(const PendingRequest& pending) const {
  const bool has_order =
      pending.request.kind == RequestKind::kRank && pending.encoded.lengths.size() >= 2;
  return has_order &&
         InUnitInterval(Mixed(Mixed(options_.seed) ^ pending.sequence)) < options_.share;
}

void LiveQuality::Keep(const PendingRequest& pending, std::span<const int32_t> order) {
  {
    const MutexLock lock(&mutex_);
    if (reviews_.size() >= kMaxReviews) return;
  }
  const std::vector<int32_t> rows = KeptRows(order.size(), kMaxRows);
  auto review = std::make_shared<Review>();
  review->variant = pending.variant;
  review->by_logit = pending.request.order_by_logit;
  review->encoded = PartOf(pending.encoded, rows);
  review->order = PartOf(order, rows);
  const MutexLock lock(&mutex_);
  if (reviews_.size() < kMaxReviews) reviews_.push_back(std::move(review));
}

bool LiveQuality::HasWork() const {
  const MutexLock lock(&mutex_);
  return !reviews_.empty() && !is_running_;
}

int LiveQuality::BestFor(const Review& review, std::span<const VariantState> variants) const {
  const std::vector<int32_t>& lengths = review.encoded.lengths;
  const int longest = *std::max_element(lengths.begin(), lengths.end());
  int best = -1;
  for (int i = 0; i < static_cast<int>(served_.size()); ++i) {
    const ServedVariant& variant = served_[static_cast<size_t>(i)];
    const bool can_judge = Contains(rankers_, i) && variant.quality &&
                           variants[static_cast<size_t>(i)].is_available &&
                           longest <= variant.task.max_tokens;
    if (!can_judge) continue;
    const bool is_better =
        best < 0 || variant.quality->ndcg10 > served_[static_cast<size_t>(best)].quality->ndcg10;
    if (is_better) best = i;
    // It was the best when agreement was measured, and only agreement with it can be compared.
    if (i == options_.expected.reference) return i == review.variant ? -1 : i;
  }
  return best == review.variant ? -1 : best;
}

ReviewBatch LiveQuality::Fill(const std::shared_ptr<Review>& review, const CostCoefficients& cost,
                              double most_seconds) const {
  ReviewBatch batch{.review = review, .rows = 0, .work = {}, .seconds = 0};
  const std::vector<int32_t>& lengths = review->encoded.lengths;
  const BatchLimits limits = limits_.Get();
  for (auto row = static_cast<size_t>(review->rows_done); row < lengths.size(); ++row) {
    WorkShape work = batch.work;
    work.Add(lengths[row]);
    const double seconds = BatchSeconds(cost, work);
    const bool is_full = work.rows > limits.max_sequences || work.tokens > limits.max_tokens ||
                         IsFullBatch(cost, batch.work);
    if (is_full || seconds > most_seconds) break;
    batch.work = work;
    batch.seconds = seconds;
    ++batch.rows;
  }
  return batch;
}

ReviewCut LiveQuality::Cut(const ReviewSlot& slot, std::span<const VariantState> variants) {
  const MutexLock lock(&mutex_);
  while (!reviews_.empty() && !is_running_) {
    const std::shared_ptr<Review>& review = reviews_.front();
    if (review->best < 0) review->best = BestFor(*review, variants);
    const bool has_judge =
        review->best >= 0 && variants[static_cast<size_t>(review->best)].is_available;
    if (has_judge) {
      const CostCoefficients& cost = variants[static_cast<size_t>(review->best)].cost;
      const double most = std::min(kGapShare * slot.gap, kBudgetShare * short_budget_);
      ReviewBatch batch = Fill(review, cost, most / slot.safety);
      is_running_ = batch.rows > 0;
      if (is_running_) return {.batch = std::move(batch)};
      WorkShape row;
      row.Add(review->encoded.lengths[static_cast<size_t>(review->rows_done)]);
      const double seconds = slot.safety * BatchSeconds(cost, row);
      if (seconds <= kBudgetShare * short_budget_) {
        return {.batch = std::nullopt, .needed_gap = seconds / kGapShare};
      }
    }
    reviews_.pop_front();
  }
  return {};
}

void LiveQuality::Complete(const ReviewBatch& batch, std::span<const float> outputs, bool ok) {
  const MutexLock lock(&mutex_);
  Review& review = *reviews_.front();
  is_running_ = false;
  review.outputs.insert(review.outputs.end(), outputs.begin(), outputs.end());
  review.rows_done += batch.rows;
  review.tokens_done += static_cast<size_t>(batch.work.tokens);
  const bool is_done = review.rows_done == static_cast<int>(review.order.size());
  if (ok && is_done) Record(review);
  if (!ok || is_done) reviews_.pop_front();
}

void LiveQuality::Record(const Review& review) const {
  const ServedVariant& best = served_[static_cast<size_t>(review.best)];
  const RankAgreement agreement = AgreementOf(
      review.order, RankOrder(review.outputs, best.loaded.num_outputs, best.task, review.by_logit));
  recorder_->RecordReview({.variant = review.variant,
                           .best = review.best,
                           .top1 = agreement.top1,
                           .top10 = agreement.top10,
                           .kendall_tau = agreement.kendall_tau});
}

}  // namespace tailor
