// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/warm_up.h"

#include <algorithm>
#include <limits>

#include "base/status_macros.h"

namespace tailor {
namespace {

struct GridShape {
  int rows;
  int tokens;  // of each row
};

// Spread so that the four terms of the cost can be told apart: one row of several lengths, several
// rows of one token count. In the order of their cost.
constexpr GridShape kGrid[] = {{1, 8},  {1, 32},  {4, 8},   {4, 32},  {1, 128},
                               {8, 64}, {1, 512}, {32, 16}, {16, 128}};
constexpr GridShape kUsual = {8, 64};
constexpr int kWarmRuns = 3;
// Above this one warm run is steady enough.
constexpr double kLongRunSeconds = 0.004;

// A query is shorter than its document; of what crosses them, this share makes many crosses.
constexpr int kTokensPerQueryToken = 4;

// Ids spread over the vocabulary, as those of text are.
void FillBatch(const GridShape& shape, int vocab_size, bool has_segments, Batch* batch) {
  constexpr int64_t kStride = 7919;
  batch->Clear();
  std::vector<int32_t> ids(static_cast<size_t>(shape.tokens));
  std::vector<int32_t> types(ids.size(), 0);
  if (has_segments) std::fill(types.begin() + shape.tokens / kTokensPerQueryToken, types.end(), 1);
  int64_t next = 0;
  for (int row = 0; row < shape.rows; ++row) {
    for (int32_t& id : ids) id = static_cast<int32_t>((next += kStride) % vocab_size);
    batch->Append(ids, types);
  }
}

GridShape Bounded(GridShape shape, const BatchLimits& limits) {
  shape.tokens = std::min(shape.tokens, limits.max_sequence_tokens);
  shape.rows = std::min({shape.rows, limits.max_sequences, limits.max_tokens / shape.tokens});
  return shape;
}

WorkShape WorkOf(const GridShape& shape) {
  WorkShape work;
  for (int row = 0; row < shape.rows; ++row) work.Add(shape.tokens);
  return work;
}

class Measurement {
 public:
  Measurement(Backend* backend, const LoadedCut& loaded, const WarmUpOptions& options,
              const Clock* clock)
      : backend_(backend),
        loaded_(loaded),
        options_(options),
        clock_(clock),
        end_(clock->Now() + options.time_limit) {
    batch_.Reserve(options.limits);
  }

  absl::StatusOr<std::vector<CostSample>> Run() {
    for (const GridShape& unbounded : kGrid) {
      const GridShape shape = Bounded(unbounded, Limits());
      if (!samples_.empty() && !HasTimeFor(shape)) continue;
      TAILOR_RETURN_IF_ERROR(Measure(shape));
    }
    return std::move(samples_);
  }

  absl::StatusOr<CostSample> RunOnce() {
    const GridShape shape = Bounded(kUsual, Limits());
    Fill(shape);
    TAILOR_ASSIGN_OR_RETURN(const double seconds, TimeOnce());
    return CostSample{.shape = WorkOf(shape), .seconds = seconds};
  }

 private:
  // Runs may lower what the backend takes.
  BatchLimits Limits() const {
    BatchLimits limits = options_.limits;
    limits.max_tokens = std::min(limits.max_tokens, backend_->info().limits.max_tokens);
    return limits;
  }

  void Fill(const GridShape& shape) {
    FillBatch(shape, options_.vocab_size, loaded_.crosses_segments, &batch_);
    outputs_.resize(static_cast<size_t>(shape.rows) * static_cast<size_t>(loaded_.num_outputs));
  }

  bool HasTimeFor(const GridShape& shape) const {
    // Proportional to the last one: an upper bound, since its fixed cost counts in full. One cold
    // and one warm run.
    const double scale = static_cast<double>(shape.rows) * shape.tokens /
                         static_cast<double>(samples_.back().shape.tokens);
    return 2 * scale * samples_.back().seconds <= ToSeconds(end_ - clock_->Now());
  }

  absl::StatusOr<double> TimeOnce() {
    const TimePoint start = clock_->Now();
    TAILOR_RETURN_IF_ERROR(backend_->Run(loaded_.cut, batch_, outputs_));
    return ToSeconds(clock_->Now() - start);
  }

  absl::Status Measure(const GridShape& shape) {
    Fill(shape);
    TAILOR_RETURN_IF_ERROR(TimeOnce().status());
    double least = std::numeric_limits<double>::infinity();
    for (int run = 0; run < kWarmRuns; ++run) {
      // Memory ran out on the way: such a batch will not come again.
      if (shape.rows * shape.tokens > Limits().max_tokens) return absl::OkStatus();
      TAILOR_ASSIGN_OR_RETURN(const double seconds, TimeOnce());
      least = std::min(least, seconds);
      if (seconds > kLongRunSeconds || clock_->Now() >= end_) break;
    }
    samples_.push_back({.shape = WorkOf(shape), .seconds = least});
    return absl::OkStatus();
  }

  Backend* const backend_;
  const LoadedCut& loaded_;
  const WarmUpOptions& options_;
  const Clock* const clock_;
  const TimePoint end_;
  Batch batch_;
  std::vector<float> outputs_;
  std::vector<CostSample> samples_;
};

}  // namespace

std::vector<WorkShape> WarmUpShapes(const BatchLimits& limits) {
  std::vector<WorkShape> shapes;
  for (const GridShape& shape : kGrid) shapes.push_back(WorkOf(Bounded(shape, limits)));
  return shapes;
}

absl::StatusOr<std::vector<CostSample>> MeasureVariant(Backend* backend, const LoadedCut& loaded,
                                                       const WarmUpOptions& options,
                                                       const Clock* clock) {
  return Measurement(backend, loaded, options, clock).Run();
}

absl::StatusOr<CostSample> MeasureOnce(Backend* backend, const LoadedCut& loaded,
                                       const WarmUpOptions& options, const Clock* clock) {
  return Measurement(backend, loaded, options, clock).RunOnce();
}

}  // namespace tailor
