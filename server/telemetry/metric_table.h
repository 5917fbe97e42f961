// SPDX-License-Identifier: Apache-2.0
// Every metric of the server, once: name, help, type, buckets. docs and dashboards follow this.
#pragma once

#include <span>
#include <string_view>

namespace tailor {

enum class Metric {
  kRequests,
  kRequestDuration,
  kBudgetRequests,
  kBudgetUsed,
  kStageDuration,
  kQueueWait,
  kQueueRequests,
  kQueueTokens,
  kBackstopFactor,
  kInflight,
  kShed,
  kDegraded,
  kVariantSelected,
  kVariantPredicted,
  kPredictionRatio,
  kPredictionError,
  kCostObserved,
  kCostModeled,
  kVariantState,
  kVariantInfo,
  kVariantBytes,
  kVariantQuality,
  kReviews,
  kReviewAgreement,
  kBatchSize,
  kBatchTokens,
  kMaxBatchTokens,
  kPairs,
  kTokens,
  kEngineBusy,
  kEngineErrors,
  kRequestDocuments,
  kRequestTokens,
  kCancelled,
  kReady,
  kDraining,
  kMetricDrops,
  kCpuQuota,
  kBuildInfo,
  kProcessCpu,
  kProcessResident,
  kProcessOpenFds,
  kProcessMaxFds,
  kProcessStart,
};
inline constexpr int kNumMetrics = static_cast<int>(Metric::kProcessStart) + 1;

enum class MetricType { kCounter, kGauge, kHistogram };

struct MetricInfo {
  Metric metric;
  std::string_view name;
  std::string_view help;
  MetricType type;
  std::span<const double> buckets = {};  // upper bounds, ascending; histograms only
};

const MetricInfo& InfoOf(Metric metric);

}  // namespace tailor
