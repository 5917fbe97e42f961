// SPDX-License-Identifier: Apache-2.0
// The one place that observed numbers go to. Prometheus (snapshot.h) and the selector (window.h)
// read what is recorded here, so they cannot disagree.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/telemetry/metric_table.h"
#include "server/telemetry/outcome.h"
#include "server/telemetry/shards.h"

namespace tailor {

struct VariantLabels {
  std::string id;
  std::string format;
  std::string device;
  int layers = 0;
  int64_t bytes = 0;  // as the backend keeps the weights
};

struct RecorderOptions {
  std::string version;
  std::string isa;
  std::vector<VariantLabels> variants;  // in the order of Ranker::variants()
  int cores = 1;
};

// Names of the reasons of a choice, in the order of SelectionReason.
inline constexpr std::string_view kSelectionReasons[] = {"fit",   "degraded", "pin",
                                                         "probe", "cascade",  "infeasible"};

// What a worker did right before a batch: after a pause caches and cores are cold.
enum class BatchStart { kBusy, kIdle };
inline constexpr std::string_view kBatchStarts[] = {"busy", "idle"};

enum class VariantCondition { kLoading, kReady, kQuarantined };

// One batch that the engine ran, or failed to.
struct BatchObservation {
  int variant = 0;
  int worker = 0;
  int pairs = 0;
  int64_t tokens = 0;
  double batch_seconds = 0;  // choosing and packing
  double engine_seconds = 0;
  double predicted_seconds = 0;  // as used for the choice
  double modeled_seconds = 0;    // as fitted at warm-up, without the correction
  BatchStart start = BatchStart::kBusy;
  bool failed = false;
  bool is_review = false;  // nobody waited for it
};

// What has been seen of a variant since the start.
struct CostTotals {
  double batches = 0;
  double observed_seconds = 0;
  double modeled_seconds = 0;
};

// The order that a variant gave the documents of one answer, against that of the best variant.
struct ReviewObservation {
  int variant = 0;
  int best = 0;
  double top1 = 0;         // 1: the same document is first
  double top10 = 0;        // share of the first ten, or of all, in common
  double kendall_tau = 0;  // -1 to 1
};

// What has been seen of a pair of variants since the start.
struct ReviewTotals {
  double reviews = 0;
  double concordance = 0;  // sum of (1 + tau) / 2
};

// Thread-safe; every call is a few relaxed additions. What is no finite number of at least zero is
// dropped and counted.
class Recorder {
 public:
  // A label and its values; a metric's series are the product of its dimensions.
  struct Dimension {
    std::vector<std::string> names;
    std::vector<std::vector<std::string>> values;  // [value][name]
  };

  explicit Recorder(RecorderOptions options);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // A call; see RpcRecording. Parsing includes the checks of its fields; the reply is the
  // response's way into bytes and its hand-over to gRPC.
  void BeginRpc(RpcMethod method);
  // budget: zero when the call has none.
  void EndRpc(RpcMethod method, Outcome outcome, Duration duration, Duration budget);

  void RecordParse(Duration duration);
  void RecordReply(Duration duration);

  // A request of the pipeline.
  void RecordRequest(int documents, int64_t tokens);
  void RecordTokenize(Duration duration);
  void RecordBound(int variant, int reason, Duration queue_wait, int priority);
  void RecordDegraded(int from, int to);
  void RecordShed(Outcome outcome, int priority, PipelinePoint point);
  void RecordCancelled(PipelinePoint point);
  void RecordPost(int variant, Duration duration);

  void RecordBatch(const BatchObservation& batch);
  // Part of RecordBatch; for what a warm-up learns of the predictions that it makes.
  void RecordPredictionError(BatchStart start, double engine_seconds, double predicted_seconds);

  void RecordReview(const ReviewObservation& review);

  // State that is set, not counted.
  void SetQueue(int priority, int64_t requests, int64_t tokens);
  void SetBackstop(double factor);
  void SetMaxBatchTokens(int tokens);
  void SetPredicted(int variant, int length_bucket, double seconds);
  void SetVariantCondition(int variant, VariantCondition condition);
  void SetVariantQuality(int variant, double quality);
  void SetHealth(bool ready, bool draining);

  // Moves with every change of what Totals, of one variant, and AddPredictionErrors return: who
  // knows their sums for one version need not ask again.
  uint64_t batches_version() const { return batches_version_.load(std::memory_order_acquire); }
  uint64_t batches_version(int variant) const {
    return variant_versions_[static_cast<size_t>(variant)].load(std::memory_order_acquire);
  }
  CostTotals Totals(int variant) const;
  ReviewTotals Reviews(int variant, int best) const;
  // Adds to `counts`, [buckets + 1], the number of batches in each bucket of kPredictionError.
  void AddPredictionErrors(BatchStart start, std::span<double> counts) const;

  const RecorderOptions& options() const { return options_; }
  int num_variants() const { return static_cast<int>(options_.variants.size()); }

  // For Snapshot: the dimensions of a metric, and one of its series by the index of each
  // dimension's value, last dimension fastest. Counters and gauges have one number; histograms the
  // count of each bucket (not cumulative, the last is +Inf) and then the sum.
  const std::vector<Dimension>& dimensions(Metric metric) const;
  std::vector<double> Series(Metric metric, size_t series) const;
  double Value(Metric metric, std::span<const int> indices) const;

 private:
  struct Layout {
    std::vector<Dimension> dimensions;
    size_t offset = 0;
    size_t stride = 1;  // cells a series
    size_t series = 0;  // 0: not kept here
  };
  using Indices = std::initializer_list<int>;

  static std::vector<Layout> MakeLayouts(const RecorderOptions& options);
  static size_t NumCells(const std::vector<Layout>& layouts);

  size_t Cell(Metric metric, std::span<const int> indices) const;
  bool Accept(double value);
  void Count(Metric metric, Indices indices, double value = 1);
  void Observe(Metric metric, Indices indices, double value);
  void Set(Metric metric, Indices indices, double value);
  // Of a stage that belongs to no variant.
  void ObserveStage(Stage stage, Duration duration);

  const RecorderOptions options_;
  const std::vector<Layout> layouts_;  // by Metric
  Shards shards_;
  std::atomic<uint64_t> batches_version_{0};
  std::vector<std::atomic<uint64_t>> variant_versions_;  // one a variant
};

// The limits of `tailor_variant_predicted_seconds`' lengths, in tokens.
inline constexpr int kLengthBuckets[] = {32, 64, 128, 256, 512};

// One call from its arrival to its reply, whichever way it ends: one that is destroyed without End
// counts as cancelled. One thread at a time. A null recorder records nothing.
class RpcRecording {
 public:
  RpcRecording(Recorder* recorder, RpcMethod method, TimePoint arrival);
  ~RpcRecording();
  RpcRecording(const RpcRecording&) = delete;
  RpcRecording& operator=(const RpcRecording&) = delete;

  void set_budget(Duration budget) { budget_ = budget; }
  // The first call counts.
  void End(Outcome outcome, TimePoint now);

 private:
  Recorder* recorder_;  // null once recorded
  const RpcMethod method_;
  const TimePoint arrival_;
  Duration budget_{};
};

}  // namespace tailor
