// SPDX-License-Identifier: Apache-2.0
// The way of a request into the queue: admitted, tokenised, judged again, pushed, or refused.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/batch_queue.h"
#include "server/pipeline/pending_request.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/tokenize_pool.h"
#include "server/pipeline/variant_table.h"
#include "server/telemetry/recorder.h"
#include "server/text/tokenizer.h"

namespace tailor {

// What it works with; all of it outlives the intake.
struct IntakeParts {
  BatchLimits limits;
  const Tokenizer* tokenizer = nullptr;
  std::span<const ServedVariant> served;
  const Admission* admission = nullptr;
  VariantTable* variants = nullptr;
  std::shared_ptr<BatchQueue> queue;
  VariantSet choosable;       // the selector's, without a pin
  int tokenizer_threads = 0;  // 0: whoever submits tokenises
  // Called after every push.
  std::function<void(std::span<const VariantState>, TimePoint now)> on_pushed;
  Recorder* recorder = nullptr;
  const Clock* clock = nullptr;
};

// Thread-safe, but for Join.
class Intake {
 public:
  explicit Intake(const IntakeParts& parts);

  // Answers at once what needs no engine or is refused; queues the rest.
  std::shared_ptr<Ticket> Start(const PendingPtr& pending);

  // Until it is warm, everything is refused as kNotReady; and again once it admits no more.
  void SetWarm(bool is_warm) { is_warm_ = is_warm; }
  void StopAdmitting() { is_admitting_ = false; }
  // From now on everything is refused as kDeviceLost.
  void LoseDevice() {
    is_device_lost_ = true;
    StopTokenizing();
  }
  bool is_warm() const { return is_warm_; }
  bool is_admitting() const { return is_warm_ && is_admitting_; }

  // What is on its way is no longer tokenised; the queue, which is to be stopped then, refuses it.
  void StopTokenizing();
  // Ends the tokenising threads.
  void Join() { pool_.reset(); }

 private:
  // False when the request needs no engine. Reserves its place otherwise.
  absl::StatusOr<bool> Admit(PendingRequest* pending);
  // The longest sequence that each of them takes, so that one encoding serves all.
  int MaxTokens(VariantSet admissible) const;
  // `started`: since when the time counts as the request's own, not as load.
  void EncodeAndPush(const PendingPtr& pending, TimePoint started);
  void Refuse(const PendingPtr& pending, const absl::Status& status, PipelinePoint point);
  // A budget of microseconds is over before it can be judged: the caller must still learn that no
  // server could have met it.
  absl::Status TooLate(const Demand& demand, std::span<const VariantState> states) const;

  const IntakeParts parts_;
  std::atomic<bool> is_warm_{false};
  std::atomic<bool> is_admitting_{true};
  std::atomic<bool> is_device_lost_{false};
  std::atomic<bool> is_stopping_{false};
  std::unique_ptr<TokenizePool> pool_;  // null: whoever submits tokenises
};

}  // namespace tailor
