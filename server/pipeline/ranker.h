// SPDX-License-Identifier: Apache-2.0
// The facade of the pipeline: the only thing that server/rpc and server/http know of it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "engine/api/backend.h"
#include "server/pipeline/request.h"
#include "server/pipeline/status_report.h"
#include "server/telemetry/quality_window.h"
#include "server/telemetry/recorder.h"
#include "server/text/tokenizer.h"

namespace tailor {

class CascadeTable;

// A variant that was loaded into every worker's backend under the same cut.
struct ServedVariant {
  std::string id;
  LoadedCut loaded;
  WeightFormat format = WeightFormat::kF32;
  TaskSpec task;
  HeadKind head = HeadKind::kClassifier;
  std::optional<Quality> quality;
  int num_layers = 0;
  int hidden = 0;
  int64_t num_parameters = 0;
  int64_t weight_bytes = 0;
  std::optional<CostCoefficients> prior;  // what an earlier run knew; see cost_prior.h
};

// See live_quality.h.
struct LiveQualityOptions {
  double share = 0;         // of the Rank answers that are scored again in idle time; 0: none
  uint64_t seed = 1;        // of the sample
  AgreementTable expected;  // moves the qualities; without it agreement is measured only
};

struct RankerOptions {
  std::string policy = "tailored";  // or "fixed:ID"
  BatchLimits limits;
  int tokenizer_threads = 1;
  int max_queued_requests = 1024;
  int64_t max_queued_tokens = 1 << 20;
  Duration reply_margin = std::chrono::milliseconds(1);  // kept back for the reply's way home
  // Predicted times are multiplied by this, or by what their errors have lately been, before they
  // meet a deadline.
  double safety = 1.1;
  bool has_backstop = true;  // of `tailored` and `fixed:`; see backstop.h
  // Null: no cascades. Only the policy `tailored` has them; its indices are those of the variants.
  std::shared_ptr<const CascadeTable> cascade;
  LiveQualityOptions live_quality;
  // Called once, with what the backend said, when the first device is lost: on the thread whose
  // batch found out, before anybody is told. Must not wait.
  std::function<void(const absl::Status&)> on_device_lost = [](const absl::Status&) {};
};

// Cancels one request; safe to call at any time from any thread, also after the answer.
class Ticket {
 public:
  virtual ~Ticket() = default;
  virtual void Cancel() = 0;
};

// Thread-safe. Owns the queue, the tokenising threads and one worker thread a backend. Not ready
// until WarmUp has measured every variant. When a backend loses its device, nothing runs any more:
// what waits, what that backend ran and what comes later is refused as kDeviceLost. Destruction
// refuses what is queued and joins.
class Ranker {
 public:
  // One backend a worker; all have loaded the same variants. Fails for an unknown policy (with the
  // nearest name) or without variants.
  static absl::StatusOr<std::unique_ptr<Ranker>> Create(
      const RankerOptions& options, std::shared_ptr<const Tokenizer> tokenizer,
      std::vector<ServedVariant> variants, std::vector<std::unique_ptr<Backend>> backends,
      Recorder* recorder, const Clock* clock);
  virtual ~Ranker() = default;

  // Runs the warm-up grid on the workers' backends and fits the cost models; blocks. Fails when no
  // variant gets through it, or as kDeviceLost.
  virtual absl::Status WarmUp() = 0;

  // Admits, tokenises, queues; `done` gets the answer or the refusal.
  virtual std::shared_ptr<Ticket> Submit(Request request, AnswerCallback done) = 0;

  // From now on new requests are refused as kNotReady; what is queued is answered.
  virtual void StopAdmitting() = 0;

  virtual const Tokenizer& tokenizer() const = 0;
  virtual const std::vector<ServedVariant>& variants() const = 0;
  virtual Explanation Explain(const ExplainQuery& query) const = 0;
  virtual StatusReport Report() const = 0;
};

}  // namespace tailor
