// SPDX-License-Identifier: Apache-2.0
// Runs batches on one backend: when the engine is free, a batch is cut, run, and its callers get
// their answers.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"

#include "base/clock.h"
#include "engine/api/backend.h"
#include "server/pipeline/pipeline_parts.h"
#include "server/pipeline/warm_up.h"

namespace tailor {

// One thread at a time: who holds it in the queue (BatchQueue::WaitForWork, ClaimOrWake).
class Worker {
 public:
  Worker(int index, std::unique_ptr<Backend> backend, const PipelineParts& parts);

  // Keeps the calling thread, which is to be this worker's, where the backend wants it.
  void PinThread() const;

  // Measures every variant on this worker's backend and sets its cost. A variant that fails stays
  // unavailable; an error only when all do, or the device is lost.
  absl::Status WarmUp(const WarmUpOptions& options);

  // Cuts one batch, runs it and answers. False when there was nothing to do.
  bool RunOne();
  // The same for who has just read the states.
  bool RunOne(std::span<const VariantState> variants, TimePoint now);

 private:
  // How the engine ran a batch.
  struct BatchRun {
    absl::Status status;  // kDeviceLost or the engine's own
    Duration batch_time{};
    Duration engine_time{};
  };

  // Every variant once, after all others have been through the caches: how far the predictions of
  // the first batches after a pause will be off. Fails only when the device is lost.
  absl::Status MeasureColdStarts(const WarmUpOptions& options);
  // After a run: what its backend can no longer hold, nobody cuts any more.
  void FollowLimits();
  // Nothing runs on this backend any more, nor on any other. Returns the refusal.
  absl::Status LoseDevice(const absl::Status& problem) const;
  void AnswerDead(const CutBatch& batch, std::span<const VariantState> variants);
  void RecordBindings(const CutBatch& batch);
  BatchRun Run(const CutBatch& batch, TimePoint cut_at);
  BatchRun RunReview(const CutBatch& batch, TimePoint cut_at);
  // Runs what batch_ holds.
  BatchRun RunEngine(const CutBatch& batch, TimePoint cut_at);
  void Pack(const CutBatch& batch);
  void Unpack(const CutBatch& batch);
  void Record(const CutBatch& batch, const BatchRun& run, const CostCoefficients& cost);
  void CompleteReview(const CutBatch& batch, const BatchRun& run);
  void AnswerCallers(const CutBatch& batch, const BatchRun& run);

  const int index_;
  const std::unique_ptr<Backend> backend_;
  const PipelineParts parts_;
  CurrentLimits limits_;  // that of the parts
  Batch batch_;
  std::vector<float> outputs_;
};

}  // namespace tailor
