// SPDX-License-Identifier: Apache-2.0
// The pipeline without threads: tests and simulators decide when a worker runs.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "server/pipeline/ranker.h"

namespace tailor {

// Submit tokenises on the calling thread, WarmUp measures on it, and batches run when RunOne is
// called. Otherwise the same code as the server's.
class SteppedRanker : public Ranker {
 public:
  static absl::StatusOr<std::unique_ptr<SteppedRanker>> Create(
      const RankerOptions& options, std::shared_ptr<const Tokenizer> tokenizer,
      std::vector<ServedVariant> variants, std::vector<std::unique_ptr<Backend>> backends,
      Recorder* recorder, const Clock* clock);

  // A request by its lengths alone, [documents] tokens of each pair (1 to max_sequence_tokens):
  // nothing is tokenised and every token id is 0. `request.texts` is ignored.
  virtual std::shared_ptr<Ticket> SubmitLengths(Request request, std::vector<int32_t> lengths,
                                                AnswerCallback done) = 0;

  // One batch on that worker's backend; false when there was nothing to do.
  virtual bool RunOne(int worker) = 0;

  // What the server's deadline thread does: answers requests whose second pass takes until their
  // deadline, also while a batch runs. Returns how many.
  virtual int AnswerDue() = 0;

  // When RunOne has something to do although nothing arrives, because the policy chose to wait;
  // absent: at the next arrival.
  virtual std::optional<TimePoint> IdleUntil() const = 0;
};

}  // namespace tailor
