// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/recorder.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tailor {
namespace {

using Dimension = Recorder::Dimension;

// An observation beyond this multiple of its prediction moves the correction no further: one hiccup
// of the host says nothing about the next batch, and a lasting change gets there in a few steps.
constexpr double kOutlierFactor = 2;
// The error of a shorter batch is the clock's and the scheduler's, and costs no deadline.
constexpr double kLeastErrorSeconds = 0.5e-3;

constexpr int kNumBudgetClasses = 7;
constexpr double kBudgetClassSeconds[] = {.005, .01, .02, .05, .1, .2};
constexpr std::string_view kBudgetClasses[kNumBudgetClasses] = {"5",   "10",  "20", "50",
                                                                "100", "200", "inf"};
enum BudgetResult { kMet, kMissed, kShed };
enum AgreementMeasure { kTop1, kTop10, kKendall };

int BudgetClass(Duration budget) {
  int index = 0;
  while (index < kNumBudgetClasses - 1 && ToSeconds(budget) > kBudgetClassSeconds[index]) ++index;
  return index;
}

Dimension One(std::string name, std::span<const std::string_view> values) {
  Dimension dimension{.names = {std::move(name)}, .values = {}};
  for (const std::string_view value : values) dimension.values.push_back({std::string(value)});
  return dimension;
}

template <typename Name>
Dimension Named(std::string name, int count, Name name_of) {
  Dimension dimension{.names = {std::move(name)}, .values = {}};
  for (int i = 0; i < count; ++i) dimension.values.push_back({std::string(name_of(i))});
  return dimension;
}

Dimension Methods() {
  return Named("method", kNumRpcMethods,
               [](int i) { return RpcMethodName(static_cast<RpcMethod>(i)); });
}

Dimension Outcomes() {
  Dimension dimension{.names = {"code", "reason"}, .values = {}};
  for (int i = 0; i < kNumOutcomes; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    dimension.values.push_back(
        {std::string(OutcomeCode(outcome)), std::string(OutcomeReason(outcome))});
  }
  return dimension;
}

Dimension Reasons() {
  return Named("reason", kNumOutcomes,
               [](int i) { return OutcomeReason(static_cast<Outcome>(i)); });
}

Dimension Points() {
  return Named("point", kNumPipelinePoints,
               [](int i) { return PipelinePointName(static_cast<PipelinePoint>(i)); });
}

Dimension Priorities() {
  return Named("priority", kNumPriorities, [](int i) { return std::to_string(i); });
}

Dimension Variants(const RecorderOptions& options, const std::string& name = "variant") {
  Dimension dimension{.names = {name}, .values = {}};
  for (const VariantLabels& variant : options.variants) dimension.values.push_back({variant.id});
  return dimension;
}

// Stages before a variant is chosen have the empty one, the last.
Dimension VariantsOrNone(const RecorderOptions& options) {
  Dimension dimension = Variants(options);
  dimension.values.push_back({""});
  return dimension;
}

Dimension VariantDescriptions(const RecorderOptions& options) {
  Dimension dimension{.names = {"variant", "format", "device", "layers"}, .values = {}};
  for (const VariantLabels& variant : options.variants) {
    dimension.values.push_back(
        {variant.id, variant.format, variant.device, std::to_string(variant.layers)});
  }
  return dimension;
}

std::vector<Dimension> DimensionsOf(Metric metric, const RecorderOptions& options) {
  constexpr std::string_view kOutcomesOfCall[] = {"ok", "err"};
  constexpr std::string_view kResults[] = {"met", "missed", "shed"};
  constexpr std::string_view kConditions[] = {"loading", "ready", "quarantined"};
  constexpr std::string_view kMeasures[] = {"top1", "top10", "kendall"};
  switch (metric) {
    case Metric::kRequests:
      return {Methods(), Outcomes()};
    case Metric::kRequestDuration:
      return {Methods(), One("outcome", kOutcomesOfCall)};
    case Metric::kBudgetRequests:
      return {One("budget_class", kBudgetClasses), One("result", kResults)};
    case Metric::kBudgetUsed:
      return {One("budget_class", kBudgetClasses)};
    case Metric::kStageDuration:
      return {Named("stage", kNumStages, [](int i) { return StageName(static_cast<Stage>(i)); }),
              VariantsOrNone(options)};
    case Metric::kQueueWait:
    case Metric::kQueueRequests:
    case Metric::kQueueTokens:
      return {Priorities()};
    case Metric::kInflight:
      return {Methods()};
    case Metric::kShed:
      return {Reasons(), Priorities(), Points()};
    case Metric::kDegraded:
      return {Variants(options, "from"), Variants(options, "to")};
    case Metric::kVariantSelected:
      return {Variants(options), One("reason", kSelectionReasons)};
    case Metric::kVariantPredicted:
      return {Variants(options), Named("len_bucket", static_cast<int>(std::size(kLengthBuckets)),
                                       [](int i) { return std::to_string(kLengthBuckets[i]); })};
    case Metric::kVariantState:
      return {Variants(options), One("state", kConditions)};
    case Metric::kVariantInfo:
      return {VariantDescriptions(options)};
    case Metric::kPredictionRatio:
    case Metric::kCostObserved:
    case Metric::kCostModeled:
    case Metric::kVariantBytes:
    case Metric::kVariantQuality:
    case Metric::kBatchSize:
    case Metric::kBatchTokens:
    case Metric::kPairs:
    case Metric::kTokens:
    case Metric::kEngineErrors:
      return {Variants(options)};
    case Metric::kReviews:
      return {Variants(options), Variants(options, "best")};
    case Metric::kReviewAgreement:
      return {Variants(options), Variants(options, "best"), One("measure", kMeasures)};
    case Metric::kPredictionError:
      return {One("start", kBatchStarts)};
    case Metric::kCancelled:
      return {Points()};
    case Metric::kBuildInfo:
      return {Dimension{.names = {"version", "isa"}, .values = {{options.version, options.isa}}}};
    case Metric::kEngineBusy:
    case Metric::kRequestDocuments:
    case Metric::kRequestTokens:
    case Metric::kBackstopFactor:
    case Metric::kMaxBatchTokens:
    case Metric::kReady:
    case Metric::kDraining:
    case Metric::kMetricDrops:
    case Metric::kCpuQuota:
    case Metric::kProcessCpu:
    case Metric::kProcessResident:
    case Metric::kProcessOpenFds:
    case Metric::kProcessMaxFds:
    case Metric::kProcessStart:
      return {};
  }
  return {};
}

bool IsReadAtScrape(Metric metric) { return metric >= Metric::kProcessCpu; }

}  // namespace

std::vector<Recorder::Layout> Recorder::MakeLayouts(const RecorderOptions& options) {
  std::vector<Layout> layouts(kNumMetrics);
  size_t offset = 0;
  for (int i = 0; i < kNumMetrics; ++i) {
    const auto metric = static_cast<Metric>(i);
    if (IsReadAtScrape(metric)) continue;
    Layout& layout = layouts[static_cast<size_t>(i)];
    layout.dimensions = DimensionsOf(metric, options);
    layout.offset = offset;
    const MetricInfo& info = InfoOf(metric);
    // Bucket counts, the one of +Inf, and the sum.
    if (info.type == MetricType::kHistogram) layout.stride = info.buckets.size() + 2;
    layout.series = 1;
    for (const Dimension& dimension : layout.dimensions) layout.series *= dimension.values.size();
    offset += layout.series * layout.stride;
  }
  return layouts;
}

size_t Recorder::NumCells(const std::vector<Layout>& layouts) {
  size_t cells = 0;
  for (const Layout& layout : layouts) {
    cells = std::max(cells, layout.offset + layout.series * layout.stride);
  }
  return cells;
}

Recorder::Recorder(RecorderOptions options)
    : options_(std::move(options)),
      layouts_(MakeLayouts(options_)),
      shards_(NumCells(layouts_)),
      variant_versions_(options_.variants.size()) {
  for (int i = 0; i < num_variants(); ++i) {
    Set(Metric::kVariantInfo, {i}, 1);
    Set(Metric::kVariantBytes, {i},
        static_cast<double>(options_.variants[static_cast<size_t>(i)].bytes));
    SetVariantCondition(i, VariantCondition::kLoading);
  }
  Set(Metric::kBuildInfo, {0}, 1);
  Set(Metric::kCpuQuota, {}, options_.cores);
}

const std::vector<Dimension>& Recorder::dimensions(Metric metric) const {
  return layouts_[static_cast<size_t>(metric)].dimensions;
}

std::vector<double> Recorder::Series(Metric metric, size_t series) const {
  const Layout& layout = layouts_[static_cast<size_t>(metric)];
  TAILOR_CHECK(series < layout.series);
  std::vector<double> values(layout.stride);
  for (size_t i = 0; i < layout.stride; ++i) {
    values[i] = shards_.Sum(layout.offset + series * layout.stride + i);
  }
  return values;
}

double Recorder::Value(Metric metric, std::span<const int> indices) const {
  return shards_.Sum(Cell(metric, indices));
}

size_t Recorder::Cell(Metric metric, std::span<const int> indices) const {
  const Layout& layout = layouts_[static_cast<size_t>(metric)];
  size_t series = 0;
  for (size_t i = 0; i < layout.dimensions.size(); ++i) {
    const size_t size = layout.dimensions[i].values.size();
    // A label of a kind that does not exist must not count for its neighbour.
    TAILOR_CHECK(indices[i] >= 0 && static_cast<size_t>(indices[i]) < size);
    series = series * size + static_cast<size_t>(indices[i]);
  }
  return layout.offset + series * layout.stride;
}

bool Recorder::Accept(double value) {
  // Negated, so that NaN is refused too: one NaN would ruin a sum for good.
  if (value >= 0 && !std::isinf(value)) return true;
  shards_.Add(Cell(Metric::kMetricDrops, {}), 1);
  return false;
}

void Recorder::Count(Metric metric, Indices indices, double value) {
  if (Accept(value)) shards_.Add(Cell(metric, {indices.begin(), indices.size()}), value);
}

void Recorder::Observe(Metric metric, Indices indices, double value) {
  if (!Accept(value)) return;
  const std::span<const double> buckets = InfoOf(metric).buckets;
  const size_t cell = Cell(metric, {indices.begin(), indices.size()});
  const auto bucket = static_cast<size_t>(std::lower_bound(buckets.begin(), buckets.end(), value) -
                                          buckets.begin());
  shards_.Add(cell + bucket, 1);
  shards_.Add(cell + buckets.size() + 1, value);
}

void Recorder::Set(Metric metric, Indices indices, double value) {
  if (Accept(value)) shards_.Set(Cell(metric, {indices.begin(), indices.size()}), value);
}

void Recorder::ObserveStage(Stage stage, Duration duration) {
  Observe(Metric::kStageDuration, {static_cast<int>(stage), num_variants()}, ToSeconds(duration));
}

void Recorder::BeginRpc(RpcMethod method) { Count(Metric::kInflight, {static_cast<int>(method)}); }

void Recorder::EndRpc(RpcMethod method, Outcome outcome, Duration duration, Duration budget) {
  const int m = static_cast<int>(method);
  const double seconds = ToSeconds(duration);
  const bool ok = outcome == Outcome::kOk;
  const int inflight[] = {m};
  shards_.Add(Cell(Metric::kInflight, inflight), -1);
  Count(Metric::kRequests, {m, static_cast<int>(outcome)});
  Observe(Metric::kRequestDuration, {m, ok ? 0 : 1}, seconds);
  if (budget <= Duration::zero()) return;
  const int budget_class = BudgetClass(budget);
  if (ok) {
    Observe(Metric::kBudgetUsed, {budget_class}, seconds / ToSeconds(budget));
    Count(Metric::kBudgetRequests, {budget_class, duration <= budget ? kMet : kMissed});
  } else if (outcome == Outcome::kDeadline || outcome == Outcome::kEngine) {
    Count(Metric::kBudgetRequests, {budget_class, kMissed});
  } else if (outcome == Outcome::kOverloaded || outcome == Outcome::kBudgetInfeasible ||
             outcome == Outcome::kQualityInfeasible) {
    Count(Metric::kBudgetRequests, {budget_class, kShed});
  }
}

void Recorder::RecordParse(Duration duration) { ObserveStage(Stage::kParse, duration); }

void Recorder::RecordReply(Duration duration) { ObserveStage(Stage::kReply, duration); }

void Recorder::RecordRequest(int documents, int64_t tokens) {
  Observe(Metric::kRequestDocuments, {}, documents);
  Observe(Metric::kRequestTokens, {}, static_cast<double>(tokens));
}

void Recorder::RecordTokenize(Duration duration) { ObserveStage(Stage::kTokenize, duration); }

void Recorder::RecordBound(int variant, int reason, Duration queue_wait, int priority) {
  Count(Metric::kVariantSelected, {variant, reason});
  Observe(Metric::kQueueWait, {priority}, ToSeconds(queue_wait));
  Observe(Metric::kStageDuration, {static_cast<int>(Stage::kQueue), variant},
          ToSeconds(queue_wait));
}

void Recorder::RecordDegraded(int from, int to) { Count(Metric::kDegraded, {from, to}); }

void Recorder::RecordShed(Outcome outcome, int priority, PipelinePoint point) {
  Count(Metric::kShed, {static_cast<int>(outcome), priority, static_cast<int>(point)});
}

void Recorder::RecordCancelled(PipelinePoint point) {
  Count(Metric::kCancelled, {static_cast<int>(point)});
}

void Recorder::RecordPost(int variant, Duration duration) {
  Observe(Metric::kStageDuration, {static_cast<int>(Stage::kPost), variant}, ToSeconds(duration));
}

void Recorder::RecordBatch(const BatchObservation& batch) {
  const int v = batch.variant;
  Observe(Metric::kStageDuration, {static_cast<int>(Stage::kBatch), v}, batch.batch_seconds);
  Observe(Metric::kStageDuration, {static_cast<int>(Stage::kEngine), v}, batch.engine_seconds);
  Count(Metric::kEngineBusy, {}, batch.engine_seconds);
  if (batch.failed) {
    Count(Metric::kEngineErrors, {v});
    return;
  }
  Observe(Metric::kBatchSize, {v}, batch.pairs);
  Observe(Metric::kBatchTokens, {v}, static_cast<double>(batch.tokens));
  Count(Metric::kPairs, {v}, batch.pairs);
  Count(Metric::kTokens, {v}, static_cast<double>(batch.tokens));
  // A few rows after a pause: what they take beyond the prediction says nothing about the batches
  // that have deadlines.
  if (batch.is_review) return;
  Observe(Metric::kPredictionRatio, {v}, batch.engine_seconds / batch.predicted_seconds);
  // Both or none, or they would describe different batches.
  const bool usable = std::isfinite(batch.engine_seconds) && std::isfinite(batch.modeled_seconds) &&
                      batch.engine_seconds >= 0 && batch.modeled_seconds > 0 &&
                      batch.predicted_seconds > 0;
  if (usable) {
    Count(Metric::kCostObserved, {v},
          std::min(batch.engine_seconds, kOutlierFactor * batch.predicted_seconds));
    Count(Metric::kCostModeled, {v}, batch.modeled_seconds);
  }
  variant_versions_[static_cast<size_t>(v)].fetch_add(1, std::memory_order_release);
  RecordPredictionError(batch.start, batch.engine_seconds, batch.predicted_seconds);
}

void Recorder::RecordPredictionError(BatchStart start, double engine_seconds,
                                     double predicted_seconds) {
  if (!(predicted_seconds < kLeastErrorSeconds)) {
    Observe(Metric::kPredictionError, {static_cast<int>(start)},
            engine_seconds / predicted_seconds);
  }
  batches_version_.fetch_add(1, std::memory_order_release);
}

void Recorder::RecordReview(const ReviewObservation& review) {
  const int v = review.variant;
  Count(Metric::kReviews, {v, review.best});
  Count(Metric::kReviewAgreement, {v, review.best, kTop1}, review.top1);
  Count(Metric::kReviewAgreement, {v, review.best, kTop10}, review.top10);
  Count(Metric::kReviewAgreement, {v, review.best, kKendall}, (1 + review.kendall_tau) / 2);
}

void Recorder::SetQueue(int priority, int64_t requests, int64_t tokens) {
  Set(Metric::kQueueRequests, {priority}, static_cast<double>(requests));
  Set(Metric::kQueueTokens, {priority}, static_cast<double>(tokens));
}

void Recorder::SetBackstop(double factor) { Set(Metric::kBackstopFactor, {}, factor); }

void Recorder::SetMaxBatchTokens(int tokens) { Set(Metric::kMaxBatchTokens, {}, tokens); }

void Recorder::SetPredicted(int variant, int length_bucket, double seconds) {
  Set(Metric::kVariantPredicted, {variant, length_bucket}, seconds);
}

void Recorder::SetVariantCondition(int variant, VariantCondition condition) {
  for (int i = 0; i < 3; ++i) {
    Set(Metric::kVariantState, {variant, i}, i == static_cast<int>(condition) ? 1 : 0);
  }
}

void Recorder::SetVariantQuality(int variant, double quality) {
  Set(Metric::kVariantQuality, {variant}, quality);
}

void Recorder::SetHealth(bool ready, bool draining) {
  Set(Metric::kReady, {}, ready ? 1 : 0);
  Set(Metric::kDraining, {}, draining ? 1 : 0);
}

CostTotals Recorder::Totals(int variant) const {
  const int indices[] = {variant};
  const size_t ratios = Cell(Metric::kPredictionRatio, indices);
  const size_t buckets = InfoOf(Metric::kPredictionRatio).buckets.size() + 1;
  CostTotals totals;
  for (size_t i = 0; i < buckets; ++i) totals.batches += shards_.Sum(ratios + i);
  totals.observed_seconds = shards_.Sum(Cell(Metric::kCostObserved, indices));
  totals.modeled_seconds = shards_.Sum(Cell(Metric::kCostModeled, indices));
  return totals;
}

ReviewTotals Recorder::Reviews(int variant, int best) const {
  const int pair[] = {variant, best};
  const int kendall[] = {variant, best, kKendall};
  return {.reviews = shards_.Sum(Cell(Metric::kReviews, pair)),
          .concordance = shards_.Sum(Cell(Metric::kReviewAgreement, kendall))};
}

void Recorder::AddPredictionErrors(BatchStart start, std::span<double> counts) const {
  const int indices[] = {static_cast<int>(start)};
  const size_t cell = Cell(Metric::kPredictionError, indices);
  for (size_t i = 0; i < counts.size(); ++i) counts[i] += shards_.Sum(cell + i);
}

RpcRecording::RpcRecording(Recorder* recorder, RpcMethod method, TimePoint arrival)
    : recorder_(recorder), method_(method), arrival_(arrival) {
  if (recorder_ != nullptr) recorder_->BeginRpc(method_);
}

RpcRecording::~RpcRecording() { End(Outcome::kCancelled, arrival_); }

void RpcRecording::End(Outcome outcome, TimePoint now) {
  if (recorder_ == nullptr) return;
  recorder_->EndRpc(method_, outcome, now - arrival_, budget_);
  recorder_ = nullptr;
}

}  // namespace tailor
