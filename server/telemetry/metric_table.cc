// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/metric_table.h"

#include <array>

#include "base/check.h"

namespace tailor {
namespace {

// Buckets are part of the contract with dashboards: fixed.
constexpr double kLatency[] = {.0005, .001, .0015, .002, .003, .004, .005, .0075,
                               .01,   .015, .02,   .025, .03,  .04,  .05,  .075,
                               .1,    .15,  .2,    .3,   .5,   1,    2.5};
constexpr double kStages[] = {.00005, .0001, .00025, .0005, .001, .002, .004, .008,
                              .016,   .032,  .064,   .128,  .256, .512, 1};
constexpr double kSizes[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
constexpr double kTokenCounts[] = {16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
constexpr double kRatios[] = {0, .1, .25, .5, .75, .9, 1, 1.1, 1.25, 1.5, 2, 4};
// Fine where a safety factor may lie.
constexpr double kErrors[] = {.5,  .75, .9,  1,   1.05, 1.1, 1.15, 1.2, 1.25,
                              1.3, 1.4, 1.5, 1.6, 1.8,  2,   2.5,  4};

constexpr MetricType kC = MetricType::kCounter;
constexpr MetricType kG = MetricType::kGauge;
constexpr MetricType kH = MetricType::kHistogram;

constexpr std::array<MetricInfo, kNumMetrics> kTable = {{
    {Metric::kRequests, "tailor_requests_total", "Calls that ended.", kC},
    {Metric::kRequestDuration, "tailor_request_duration_seconds",
     "From the arrival of a call to its reply.", kH, kLatency},
    {Metric::kBudgetRequests, "tailor_budget_requests_total",
     "Calls with a budget (class: at most that many ms) that met it, missed it or were shed.", kC},
    {Metric::kBudgetUsed, "tailor_budget_used_ratio", "Time taken / budget of answered calls.", kH,
     kRatios},
    {Metric::kStageDuration, "tailor_stage_duration_seconds",
     "Time in one stage; tokenize and queue a request, the others a batch.", kH, kStages},
    {Metric::kQueueWait, "tailor_queue_wait_seconds",
     "From the end of tokenising to the first batch.", kH, kStages},
    {Metric::kQueueRequests, "tailor_queue_requests", "Requests that wait for the engine.", kG},
    {Metric::kQueueTokens, "tailor_queue_tokens", "Tokens that wait for the engine.", kG},
    {Metric::kBackstopFactor, "tailor_backstop_factor",
     "All predictions are multiplied by this, as of the last batch; above 1 while even those who "
     "wait least wait long and many who were let in end late.",
     kG},
    {Metric::kInflight, "tailor_inflight_requests", "Calls between arrival and reply.", kG},
    {Metric::kShed, "tailor_shed_total", "Requests refused because of load or time.", kC},
    {Metric::kDegraded, "tailor_degraded_total",
     "Requests that load moved from the variant of an idle server to a cheaper one.", kC},
    {Metric::kVariantSelected, "tailor_variant_selected_total", "Requests bound to a variant.", kC},
    {Metric::kVariantPredicted, "tailor_variant_predicted_seconds",
     "Predicted engine time of one sequence of that many tokens.", kG},
    {Metric::kPredictionRatio, "tailor_prediction_ratio",
     "Engine time / predicted engine time of a batch.", kH, kRatios},
    {Metric::kPredictionError, "tailor_prediction_error_ratio",
     "The same over all variants, batches of less than half a millisecond left out, by what the "
     "worker did before; its upper quantile is the safety factor.",
     kH, kErrors},
    {Metric::kCostObserved, "tailor_cost_observed_seconds_total",
     "Engine time of batches, a single outlier limited; with the next one, what corrects the "
     "cost model.",
     kC},
    {Metric::kCostModeled, "tailor_cost_modeled_seconds_total",
     "What the cost model as fitted at warm-up expected for the same batches.", kC},
    {Metric::kVariantState, "tailor_variant_state", "1 for the state that the variant is in.", kG},
    {Metric::kVariantInfo, "tailor_variant_info", "1; what the variant is.", kG},
    {Metric::kVariantBytes, "tailor_variant_bytes", "Weights as the backend keeps them.", kG},
    {Metric::kVariantQuality, "tailor_variant_quality",
     "nDCG@10 that choices count with: as evaluated, moved by live agreement; 0 when unknown.", kG},
    {Metric::kReviews, "tailor_reviews_total",
     "Rank answers whose documents the best variant scored again in idle time.", kC},
    {Metric::kReviewAgreement, "tailor_review_agreement_total",
     "Their sum of: the same document first (top1); share of the first ten in common (top10); "
     "share "
     "of pairs in the same order, (1 + Kendall's tau) / 2 (kendall).",
     kC},
    {Metric::kBatchSize, "tailor_batch_size", "Pairs in a batch.", kH, kSizes},
    {Metric::kBatchTokens, "tailor_batch_tokens", "Tokens in a batch.", kH, kTokenCounts},
    {Metric::kMaxBatchTokens, "tailor_max_batch_tokens",
     "Tokens that a batch may hold; falls when a device's memory runs out.", kG},
    {Metric::kPairs, "tailor_pairs_total", "Pairs that ran.", kC},
    {Metric::kTokens, "tailor_tokens_total", "Tokens that ran.", kC},
    {Metric::kEngineBusy, "tailor_engine_busy_seconds_total", "Time that engines computed.", kC},
    {Metric::kEngineErrors, "tailor_engine_errors_total", "Batches that failed.", kC},
    {Metric::kRequestDocuments, "tailor_request_documents", "Texts or pairs of a request.", kH,
     kSizes},
    {Metric::kRequestTokens, "tailor_request_tokens", "Tokens of a request.", kH, kTokenCounts},
    {Metric::kCancelled, "tailor_cancelled_total", "Requests whose caller went away.", kC},
    {Metric::kReady, "tailor_ready", "1 while the server takes requests.", kG},
    {Metric::kDraining, "tailor_draining", "1 while the server drains.", kG},
    {Metric::kMetricDrops, "tailor_metric_drops_total", "Observations that were no number.", kC},
    {Metric::kCpuQuota, "tailor_cpu_quota_cores", "Cores that this process may use.", kG},
    {Metric::kBuildInfo, "tailor_build_info", "1; what is running.", kG},
    {Metric::kProcessCpu, "process_cpu_seconds_total", "User and system CPU time.", kC},
    {Metric::kProcessResident, "process_resident_memory_bytes", "Resident memory.", kG},
    {Metric::kProcessOpenFds, "process_open_fds", "Open file descriptors.", kG},
    {Metric::kProcessMaxFds, "process_max_fds", "Limit of open file descriptors.", kG},
    {Metric::kProcessStart, "process_start_time_seconds", "Start of the process, Unix time.", kG},
}};

}  // namespace

const MetricInfo& InfoOf(Metric metric) {
  const MetricInfo& info = kTable[static_cast<size_t>(metric)];
  TAILOR_CHECK(info.metric == metric);
  return info;
}

}  // namespace tailor
