// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/fake_backend.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tailor {

FakeBackend::FakeBackend(std::vector<FakeCost> costs, const BatchLimits& limits, ManualClock* clock)
    : costs_(std::move(costs)),
      info_{.device = "fake", .isa = "none", .threads = 1, .limits = limits},
      clock_(clock),
      failures_(costs_.size()) {}

absl::StatusOr<LoadedCut> FakeBackend::Load(const ModelPackage&) {
  const int variant = num_loaded_++;
  return LoadedCut{.cut = {.variant = variant},
                   .num_outputs = costs_[static_cast<size_t>(variant)].num_outputs};
}

float FakeBackend::ScoreOf(std::span<const int32_t> ids) {
  // Order matters, the range is small, and exact in f32.
  int64_t hash = 17;
  for (const int32_t id : ids) hash = (hash * 31 + id) % 1009;
  return static_cast<float>(hash);
}

absl::Status FakeBackend::Run(Cut cut, const Batch& batch, std::span<float> outputs) {
  if (on_run_) on_run_();
  if (is_lost_) {
    ++num_lost_runs_;
    return absl::UnavailableError("injected loss");
  }
  const FakeCost& cost = costs_[static_cast<size_t>(cut.variant)];
  constexpr int kAnyVocabulary = std::numeric_limits<int>::max();
  absl::Status valid = batch.Validate(info_.limits, kAnyVocabulary, 2);
  if (!valid.ok()) return valid;
  info_.limits.max_tokens = std::min(info_.limits.max_tokens, lower_to_.load());
  RunRecord record{.variant = cut.variant,
                   .rows = batch.num_sequences(),
                   .tokens = batch.num_tokens(),
                   .second_tokens = {}};
  double seconds = cost.fixed + cost.per_token * record.tokens + cost.per_row * record.rows;
  for (int row = 0; row < record.rows; ++row) {
    const auto begin = static_cast<size_t>(batch.sequence_offsets[static_cast<size_t>(row)]);
    const auto length = static_cast<size_t>(batch.sequence_tokens(row));
    seconds += cost.per_square * static_cast<double>(length * length);
    const float score = ScoreOf(std::span(batch.token_ids).subspan(begin, length));
    for (int k = 0; k < cost.num_outputs; ++k) {
      outputs[static_cast<size_t>(row) * static_cast<size_t>(cost.num_outputs) +
              static_cast<size_t>(k)] = cost.score_sign * (score + static_cast<float>(k));
    }
    record.second_tokens.push_back(length > 1 ? batch.token_ids[begin + 1] : -1);
  }
  if (clock_ != nullptr) clock_->Advance(FromSeconds(seconds * slowdown_));
  const MutexLock lock(&mutex_);
  runs_.push_back(std::move(record));
  int& failures = failures_[static_cast<size_t>(cut.variant)];
  if (failures == 0) return absl::OkStatus();
  --failures;
  return absl::InternalError("injected failure");
}

void FakeBackend::FailNext(int variant, int count) {
  const MutexLock lock(&mutex_);
  failures_[static_cast<size_t>(variant)] = count;
}

std::vector<FakeBackend::RunRecord> FakeBackend::runs() const {
  const MutexLock lock(&mutex_);
  return runs_;
}

void FakeBackend::ClearRuns() {
  const MutexLock lock(&mutex_);
  runs_.clear();
}

}  // namespace tailor
