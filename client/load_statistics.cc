// SPDX-License-Identifier: Apache-2.0
#include "client/load_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_format.h"

#include "base/check.h"

namespace tailor::client {
namespace {

// A p99 without an upper bound is not a p99.
constexpr int64_t kMinAnswersForP99 = 368;

bool IsMeasured(const CallRecord& record, const RunInfo& run) {
  const Duration at = run.open_loop ? record.offset : record.offset + record.latency;
  return at >= run.warmup && at < run.duration;
}

class Summing {
 public:
  explicit Summing(const RunInfo& run) : run_(run) {
    for (const BudgetShare& share : run.budgets) {
      BudgetSummary& budget = summary_.budgets.emplace_back();
      budget.budget = share.budget;
      budget.share = share.share;
    }
  }

  void Add(const CallRecord& record) {
    TAILOR_CHECK(static_cast<size_t>(record.budget) < summary_.budgets.size());
    BudgetSummary& budget = summary_.budgets[static_cast<size_t>(record.budget)];
    ++summary_.calls;
    ++budget.calls;
    summary_.send_lag.sorted_ms.push_back(ToMillis(record.lag));
    switch (record.outcome) {
      case CallRecord::Outcome::kAnswered:
        AddAnswer(record, &budget);
        break;
      case CallRecord::Outcome::kRefused:
        ++summary_.refused;
        ++budget.refused[record.reason];
        break;
      case CallRecord::Outcome::kFailed:
        ++summary_.failed;
        ++budget.failed[record.reason];
        if (record.reason == kInFlightLimit) ++not_sent_;
        break;
    }
  }

  LoadSummary Finish() {
    for (Sample* sample :
         {&summary_.latency, &summary_.queue, &summary_.compute, &summary_.send_lag}) {
      std::sort(sample->sorted_ms.begin(), sample->sorted_ms.end());
    }
    for (BudgetSummary& budget : summary_.budgets) {
      std::sort(budget.latency.sorted_ms.begin(), budget.latency.sorted_ms.end());
    }
    summary_.measured_s = ToSeconds(run_.duration - run_.warmup);
    if (summary_.measured_s > 0) {
      summary_.goodput_documents_per_s = documents_met_ / summary_.measured_s;
      summary_.throughput_documents_per_s = documents_answered_ / summary_.measured_s;
      summary_.tokens_per_s = tokens_ / summary_.measured_s;
    }
    if (known_quality_ > 0) summary_.mean_quality = quality_ / known_quality_;
    summary_.histogram = MakeHistogram(summary_.latency.sorted_ms);
    FindProblems();
    return std::move(summary_);
  }

 private:
  void AddAnswer(const CallRecord& record, BudgetSummary* budget) {
    const double latency_ms = ToMillis(record.latency);
    ++summary_.answered;
    summary_.latency.sorted_ms.push_back(latency_ms);
    budget->latency.sorted_ms.push_back(latency_ms);
    summary_.queue.sorted_ms.push_back(ToMillis(record.queue));
    summary_.compute.sorted_ms.push_back(ToMillis(record.compute));
    ++summary_.variants[record.variant];
    const double documents = record.documents;
    documents_answered_ += documents;
    tokens_ += static_cast<double>(record.tokens);
    if (record.quality > 0) {
      quality_ += record.quality;
      known_quality_ += 1;
    }
    if (IsMet(record, run_)) {
      ++summary_.met;
      ++budget->met;
      documents_met_ += documents;
    } else {
      ++summary_.missed;
      ++budget->missed;
    }
  }

  void FindProblems() {
    std::vector<std::string>& problems = summary_.problems;
    if (summary_.calls == 0) problems.push_back("no call was measured");
    if (not_sent_ > 0) {
      problems.push_back(absl::StrFormat(
          "%d calls were not sent: as many were under way as the client allows", not_sent_));
    }
    if (run_.open_loop) {
      const auto lag = summary_.send_lag.Quantile(0.99);
      if (lag && lag->value >= kMaxSendLagP99Ms) {
        problems.push_back(absl::StrFormat(
            "send lag p99 %.2f ms, expected below %.0f ms: the client did not keep the schedule, "
            "give it a core of its own",
            lag->value, kMaxSendLagP99Ms));
      }
    }
    if (summary_.answered > 0 && summary_.answered < kMinAnswersForP99) {
      summary_.notes.push_back(
          absl::StrFormat("%d answers, expected at least %d for a p99 with an upper bound",
                          summary_.answered, kMinAnswersForP99));
    }
  }

  const RunInfo& run_;
  LoadSummary summary_;
  int64_t not_sent_ = 0;
  double documents_met_ = 0;
  double documents_answered_ = 0;
  double tokens_ = 0;
  double quality_ = 0;
  double known_quality_ = 0;
};

// The largest bound that does not exceed `ms`, which is positive.
double BoundBelow(double ms, double* next) {
  static constexpr std::array<double, 7> kSteps = {1, 1.5, 2, 3, 5, 7, 10};
  double scale = std::pow(10, std::floor(std::log10(ms)));
  if (ms < scale) scale /= 10;  // log10 rounds
  size_t step = 0;
  while (step + 2 < kSteps.size() && kSteps[step + 1] * scale <= ms) ++step;
  *next = kSteps[step + 1] * scale;
  return kSteps[step] * scale;
}

}  // namespace

bool IsMet(const CallRecord& record, const RunInfo& run) {
  const Duration own = run.budgets[static_cast<size_t>(record.budget)].budget;
  return record.latency <= (own > Duration::zero() ? own : record.server_budget);
}

std::vector<HistogramBucket> MakeHistogram(const std::vector<double>& sorted_ms) {
  constexpr double kSmallestMs = 0.001;
  std::vector<HistogramBucket> buckets;
  if (sorted_ms.empty()) return buckets;
  double high = 0;
  double low = BoundBelow(std::max(sorted_ms.front(), kSmallestMs), &high);
  buckets.push_back({low, high, 0});
  for (const double ms : sorted_ms) {
    while (ms >= buckets.back().high_ms) {
      // A little above the bound, so that rounding does not give the same bucket again.
      low = BoundBelow(buckets.back().high_ms * (1 + 1e-9), &high);
      buckets.push_back({low, high, 0});
    }
    ++buckets.back().count;
  }
  return buckets;
}

LoadSummary Summarize(const std::vector<CallRecord>& records, const RunInfo& run) {
  Summing summing(run);
  for (const CallRecord& record : records) {
    if (IsMeasured(record, run)) summing.Add(record);
  }
  return summing.Finish();
}

}  // namespace tailor::client
