// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/worker.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/log.h"
#include "base/thread.h"
#include "server/pipeline/answering.h"
#include "server/pipeline/cost_prior.h"
#include "server/pipeline/refusal.h"

namespace tailor {
namespace {

constexpr Duration kRetryAfterGivingUp = std::chrono::milliseconds(10);

// Why the selector gave a request up.
absl::Status GivenUp(const PendingRequest& pending, std::span<const VariantState> variants) {
  const VariantSet set = pending.variant >= 0 ? OneVariant(pending.variant) : pending.admissible;
  for (int i = 0; i < static_cast<int>(variants.size()); ++i) {
    if (Contains(set, i) && variants[static_cast<size_t>(i)].is_available) {
      return MakeRefusal({.refusal = Refusal::kOverloaded, .retry_after = kRetryAfterGivingUp},
                         "no variant can answer in the time that is left");
    }
  }
  return MakeRefusal({.refusal = Refusal::kNotReady},
                     "every variant that could answer has failed repeatedly");
}

}  // namespace

Worker::Worker(int index, std::unique_ptr<Backend> backend, const PipelineParts& parts)
    : index_(index), backend_(std::move(backend)), parts_(parts), limits_(parts.limits) {
  batch_.Reserve(limits_.Get());
}

void Worker::PinThread() const {
  const std::vector<int>& cores = backend_->info().cores;
  if (cores.empty() || PinThisThread(cores.front())) return;
  Log(LogLevel::kWarning, "engine thread not pinned", {{"core", cores.front()}});
}

absl::Status Worker::WarmUp(const WarmUpOptions& options) {
  absl::Status first_error;
  bool any = false;
  for (int i = 0; i < static_cast<int>(parts_.served.size()); ++i) {
    const ServedVariant& variant = parts_.served[static_cast<size_t>(i)];
    absl::StatusOr<std::vector<CostSample>> samples =
        MeasureVariant(backend_.get(), variant.loaded, options, parts_.clock);
    FollowLimits();
    if (absl::IsUnavailable(samples.status())) return LoseDevice(samples.status());
    if (samples.ok() && variant.prior) {
      samples = TowardsPrior(*std::move(samples), *variant.prior, WarmUpShapes(options.limits));
    }
    absl::StatusOr<CostCoefficients> cost =
        samples.ok() ? FitCost(*samples) : absl::StatusOr<CostCoefficients>(samples.status());
    if (!cost.ok()) {
      Log(LogLevel::kError, "variant failed at warm-up",
          {{"variant", variant.id}, {"problem", std::string(cost.status().message())}});
      parts_.variants->SetBroken(i);
      first_error.Update(cost.status());
      continue;
    }
    any = true;
    parts_.variants->SetCost(i, *cost, parts_.clock->Now());
  }
  return any ? MeasureColdStarts(options) : first_error;
}

void Worker::FollowLimits() {
  if (!limits_.LowerMaxTokens(backend_->info().limits.max_tokens)) return;
  const int max_tokens = limits_.Get().max_tokens;
  parts_.recorder->SetMaxBatchTokens(max_tokens);
  Log(LogLevel::kWarning, "device memory ran out: smaller batches from now on",
      {{"worker", index_}, {"max_batch_tokens", max_tokens}});
}

absl::Status Worker::LoseDevice(const absl::Status& problem) const {
  parts_.on_device_lost(problem);
  return DeviceLost();
}

absl::Status Worker::MeasureColdStarts(const WarmUpOptions& options) {
  const std::vector<VariantState> variants = parts_.variants->States(parts_.clock->Now());
  for (size_t i = 0; i < variants.size(); ++i) {
    if (!variants[i].is_available) continue;
    const absl::StatusOr<CostSample> sample =
        MeasureOnce(backend_.get(), parts_.served[i].loaded, options, parts_.clock);
    FollowLimits();
    if (absl::IsUnavailable(sample.status())) return LoseDevice(sample.status());
    if (!sample.ok()) continue;  // as rare as a failure while serving, and counted there
    parts_.recorder->RecordPredictionError(BatchStart::kIdle, sample->seconds,
                                           ModeledSeconds(variants[i].cost, sample->shape));
  }
  return absl::OkStatus();
}

bool Worker::RunOne() {
  const TimePoint now = parts_.clock->Now();
  return RunOne(parts_.variants->States(now), now);
}

bool Worker::RunOne(std::span<const VariantState> variants, TimePoint now) {
  CutBatch batch = parts_.queue->Cut(index_, variants, now);
  AnswerDead(batch, variants);
  if (batch.selection.variant < 0) {
    return !batch.expired.empty() || !batch.hopeless.empty() || !batch.complete.empty();
  }
  RecordBindings(batch);
  const BatchRun run = batch.review ? RunReview(batch, now) : Run(batch, now);
  Record(batch, run, variants[static_cast<size_t>(batch.selection.variant)].cost);
  if (batch.review) {
    CompleteReview(batch, run);
  } else {
    AnswerCallers(batch, run);
  }
  return true;
}

void Worker::AnswerDead(const CutBatch& batch, std::span<const VariantState> variants) {
  for (const PendingPtr& pending : batch.expired) {
    parts_.recorder->RecordShed(Outcome::kDeadline, pending->request.priority,
                                PipelinePoint::kDequeue);
    pending->Finish(PastDeadline());
  }
  for (const PendingPtr& pending : batch.hopeless) {
    const absl::Status status = GivenUp(*pending, variants);
    parts_.recorder->RecordShed(OutcomeOf(status), pending->request.priority,
                                PipelinePoint::kDequeue);
    pending->Finish(status);
  }
  for (const PendingPtr& pending : batch.complete) AnswerOne(parts_, pending);
}

void Worker::RecordBindings(const CutBatch& batch) {
  for (const TakenRows& taken : batch.taken) {
    if (!taken.is_first) continue;
    parts_.recorder->RecordBound(batch.selection.variant, static_cast<int>(taken.reason),
                                 taken.queue_time, taken.pending->request.priority);
    if (taken.degraded_from >= 0) {
      parts_.recorder->RecordDegraded(taken.degraded_from, batch.selection.variant);
    }
  }
}

void Worker::Pack(const CutBatch& batch) {
  batch_.Clear();
  for (const TakenRows& taken : batch.taken) {
    const EncodedRequest& encoded = taken.pending->encoded;
    for (const int32_t row : taken.picked) {
      const auto length = static_cast<size_t>(encoded.lengths[static_cast<size_t>(row)]);
      const size_t at = taken.pending->refinement.first_tokens[static_cast<size_t>(row)];
      batch_.Append(std::span(encoded.ids).subspan(at, length),
                    std::span(encoded.types).subspan(at, length));
    }
    if (!taken.picked.empty()) continue;
    size_t token = taken.first_token;
    for (int row = taken.first_row; row < taken.first_row + taken.rows; ++row) {
      const auto length = static_cast<size_t>(encoded.lengths[static_cast<size_t>(row)]);
      batch_.Append(std::span(encoded.ids).subspan(token, length),
                    std::span(encoded.types).subspan(token, length));
      token += length;
    }
  }
}

void Worker::Unpack(const CutBatch& batch) {
  const LoadedCut& loaded = parts_.served[static_cast<size_t>(batch.selection.variant)].loaded;
  const auto width = static_cast<size_t>(loaded.num_outputs);
  const float* next = outputs_.data();
  for (const TakenRows& taken : batch.taken) {
    for (const int32_t row : taken.picked) {
      taken.pending->refinement.scores[static_cast<size_t>(row)] = *next++;
    }
    if (!taken.picked.empty()) continue;
    const auto count = static_cast<size_t>(taken.rows) * width;
    std::copy_n(
        next, count,
        taken.pending->answer.outputs.data() + static_cast<size_t>(taken.first_row) * width);
    next += count;
  }
}

Worker::BatchRun Worker::Run(const CutBatch& batch, TimePoint cut_at) {
  Pack(batch);
  const uint64_t decision =
      parts_.decisions->Add({.at = cut_at,
                             .variant = batch.selection.variant,
                             .reason = batch.selection.reason,
                             .requests = static_cast<int>(batch.taken.size()),
                             .pairs = static_cast<int>(batch.work.rows),
                             .tokens = static_cast<int>(batch.work.tokens),
                             .predicted = FromSeconds(batch.selection.predicted_seconds)});
  BatchRun run = RunEngine(batch, cut_at);
  if (!run.status.ok()) return run;
  parts_.decisions->SetActual(decision, run.engine_time, backend_->last_split());
  Unpack(batch);
  return run;
}

Worker::BatchRun Worker::RunReview(const CutBatch& batch, TimePoint cut_at) {
  const Review& review = *batch.review->review;
  batch_.Clear();
  size_t token = review.tokens_done;
  for (int row = review.rows_done; row < review.rows_done + batch.review->rows; ++row) {
    const auto length = static_cast<size_t>(review.encoded.lengths[static_cast<size_t>(row)]);
    batch_.Append(std::span(review.encoded.ids).subspan(token, length),
                  std::span(review.encoded.types).subspan(token, length));
    token += length;
  }
  return RunEngine(batch, cut_at);
}

Worker::BatchRun Worker::RunEngine(const CutBatch& batch, TimePoint cut_at) {
  const ServedVariant& variant = parts_.served[static_cast<size_t>(batch.selection.variant)];
  outputs_.resize(static_cast<size_t>(batch.work.rows) *
                  static_cast<size_t>(variant.loaded.num_outputs));
  Cut cut = variant.loaded.cut;
  cut.sub_network = batch.selection.sub_network;
  const TimePoint start = parts_.clock->Now();
  BatchRun run{.status = backend_->Run(cut, batch_, outputs_),
               .batch_time = start - cut_at,
               .engine_time = parts_.clock->Now() - start};
  if (!run.status.ok()) {
    Log(LogLevel::kError, "batch failed",
        {{"variant", variant.id}, {"problem", std::string(run.status.message())}});
  }
  FollowLimits();
  if (absl::IsUnavailable(run.status)) run.status = LoseDevice(run.status);
  return run;
}

void Worker::Record(const CutBatch& batch, const BatchRun& run, const CostCoefficients& cost) {
  parts_.recorder->RecordBatch({.variant = batch.selection.variant,
                                .pairs = static_cast<int>(batch.work.rows),
                                .tokens = batch.work.tokens,
                                .batch_seconds = ToSeconds(run.batch_time),
                                .engine_seconds = ToSeconds(run.engine_time),
                                .predicted_seconds = batch.selection.predicted_seconds,
                                .modeled_seconds = ModeledSeconds(cost, batch.work),
                                .start = batch.start,
                                .failed = !run.status.ok(),
                                .is_review = batch.review.has_value()});
  parts_.variants->OnBatch(batch.selection.variant, run.status.ok(), parts_.clock->Now());
}

void Worker::CompleteReview(const CutBatch& batch, const BatchRun& run) {
  const bool ok = run.status.ok();
  parts_.live_quality->Complete(*batch.review, outputs_, ok);
  parts_.queue->Complete(index_, batch, ok, run.engine_time, parts_.clock->Now());
}

void Worker::AnswerCallers(const CutBatch& batch, const BatchRun& run) {
  const TimePoint now = parts_.clock->Now();
  const bool ok = run.status.ok();
  const bool is_lost = absl::IsUnavailable(run.status);
  for (const PendingPtr& pending :
       parts_.queue->Complete(index_, batch, ok, run.engine_time, now)) {
    if (is_lost) {
      pending->Finish(run.status);
    } else if (ok || batch.is_second_pass) {
      AnswerOne(parts_, pending);
    } else {
      pending->Finish(
          MakeRefusal({.refusal = Refusal::kEngine}, "the engine failed; the log has the reason"));
    }
  }
  parts_.recorder->RecordPost(batch.selection.variant, parts_.clock->Now() - now);
}

}  // namespace tailor
