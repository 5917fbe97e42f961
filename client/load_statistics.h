// SPDX-License-Identifier: Apache-2.0
// What a load run has measured: the record of every call, and the figures drawn from them. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/quantiles.h"
#include "client/schedule.h"

#include "base/clock.h"

namespace tailor::client {

struct CallRecord {
  enum class Outcome { kAnswered, kRefused, kFailed };

  Duration offset{};   // intended send time from the start of the run
  Duration lag{};      // actual less intended send time
  Duration latency{};  // from the intended send time to the end of the call
  int budget = 0;      // index into the budget mix
  int documents = 0;
  Outcome outcome = Outcome::kFailed;
  std::string reason;  // of a refusal or failure, or why the variant was chosen

  // Of an answer only.
  std::string variant;
  double quality = 0;  // 0: unknown
  int64_t tokens = 0;
  Duration server_budget{};  // the time allowed, as the server understood it
  Duration queue{};
  Duration compute{};
  Duration predicted{};  // arrival to reply, as the server predicted and measured it
  Duration total{};
};

struct RunInfo {
  bool open_loop = true;
  Duration warmup{};    // calls with an earlier offset are left out
  Duration duration{};  // of the whole run, warm-up included
  std::vector<BudgetShare> budgets;
};

// Sorted sample of one duration, in milliseconds.
struct Sample {
  std::vector<double> sorted_ms;
  std::optional<QuantileEstimate> Quantile(double p) const {
    return EstimateQuantile(sorted_ms, p);
  }
};

struct BudgetSummary {
  Duration budget{};
  double share = 0;
  int64_t calls = 0;
  int64_t met = 0;     // answered within the budget, counted from the intended send time
  int64_t missed = 0;  // answered later
  std::map<std::string, int64_t> refused;  // by reason
  std::map<std::string, int64_t> failed;   // by reason
  Sample latency;                          // of the answers
};

struct HistogramBucket {
  double low_ms = 0;
  double high_ms = 0;  // exclusive
  int64_t count = 0;
};

struct LoadSummary {
  int64_t calls = 0;
  int64_t answered = 0;
  int64_t met = 0;
  int64_t missed = 0;
  int64_t refused = 0;
  int64_t failed = 0;
  Sample latency;  // of the answers: refusals are fast and would flatter it
  Sample queue;    // as the server measured it
  Sample compute;
  Sample send_lag;  // of all calls
  std::vector<BudgetSummary> budgets;
  std::map<std::string, int64_t> variants;  // answers by variant
  double measured_s = 0;                    // the window that the rates below are over
  double goodput_documents_per_s = 0;       // answered within the budget
  double throughput_documents_per_s = 0;    // answered
  double tokens_per_s = 0;                  // answered
  double mean_quality = 0;                  // of the answers whose variant's quality is known
  std::vector<HistogramBucket> histogram;   // of `latency`
  std::vector<std::string> problems;        // why the run is void; empty: it is not
  std::vector<std::string> notes;           // what to keep in mind when quoting the figures
};

// The reason of a planned call that was not sent because too many were under way.
constexpr char kInFlightLimit[] = "IN_FLIGHT_LIMIT";

// The client must keep its own schedule for the server's latency to mean anything.
constexpr double kMaxSendLagP99Ms = 1.0;

// Whether an answer came within the budget of its call, counted from the intended send time.
// Without a budget of its own a call is held to the one that the server applied.
bool IsMet(const CallRecord& record, const RunInfo& run);

// Open loop: the calls whose intended time lies in [warmup, duration). Closed loop: those that end
// in [warmup, duration), since a slow call sent before the end belongs to the time after it.
LoadSummary Summarize(const std::vector<CallRecord>& records, const RunInfo& run);

// Buckets with the bounds 1, 1.5, 2, 3, 5, 7 times powers of ten, from the smallest to the largest
// sample without gaps.
std::vector<HistogramBucket> MakeHistogram(const std::vector<double>& sorted_ms);

}  // namespace tailor::client
