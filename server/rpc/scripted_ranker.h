// SPDX-License-Identifier: Apache-2.0
// A pipeline for the tests of this folder: keeps what was submitted until the test answers it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "base/check.h"
#include "base/mutex.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/refusal.h"

namespace tailor {

class ScriptedRanker final : public Ranker {
 public:
  struct Submission {
    Request request;
    AnswerCallback done;
    bool cancelled = false;
  };

  ScriptedRanker() : tokenizer_(MakeTokenizer()) {
    ServedVariant variant;
    variant.id = "small";
    variant.quality = Quality{.ndcg10 = 0.7};
    variants_.push_back(std::move(variant));
  }

  absl::Status WarmUp() override { return absl::OkStatus(); }

  // A submission that is cancelled while it waits is answered as the pipeline does it.
  std::shared_ptr<Ticket> Submit(Request request, AnswerCallback done) override {
    auto submission = std::make_shared<Submission>();
    submission->request = std::move(request);
    submission->done = std::move(done);
    const MutexLock lock(&mutex_);
    submissions_.push_back(submission);
    changed_.NotifyAll();
    return std::make_shared<ScriptedTicket>(this, submission);
  }

  // Waits for the next submission.
  std::shared_ptr<Submission> Next() {
    const MutexLock lock(&mutex_);
    while (submissions_.empty()) changed_.Wait(&mutex_);
    std::shared_ptr<Submission> next = std::move(submissions_.front());
    submissions_.pop_front();
    return next;
  }

  // Waits until `submission` was cancelled by the caller.
  void AwaitCancel(const Submission& submission) {
    const MutexLock lock(&mutex_);
    while (!submission.cancelled) changed_.Wait(&mutex_);
  }

  void StopAdmitting() override {}
  const Tokenizer& tokenizer() const override { return tokenizer_; }
  const std::vector<ServedVariant>& variants() const override { return variants_; }
  Explanation Explain(const ExplainQuery& query) const override {
    Explanation explanation;
    explanation.variant = 0;
    explanation.reason = "fit";
    explanation.predicted = std::chrono::milliseconds(query.lengths.size());
    explanation.candidates = {{0, explanation.predicted, true, "chosen"}};
    return explanation;
  }
  StatusReport Report() const override {
    StatusReport report;
    report.costs = {CostCoefficients{.fixed = 0.001}};
    report.on_ladder = {true};
    report.queued_requests = 3;
    report.decisions = {DecisionRecord{.requests = 1, .pairs = 2, .tokens = 20, .split = "rows"}};
    return report;
  }

 private:
  class ScriptedTicket final : public Ticket {
   public:
    ScriptedTicket(ScriptedRanker* ranker, std::shared_ptr<Submission> submission)
        : ranker_(ranker), submission_(std::move(submission)) {}
    void Cancel() override {
      {
        const MutexLock lock(&ranker_->mutex_);
        submission_->cancelled = true;
        ranker_->changed_.NotifyAll();
      }
      submission_->done(MakeRefusal({.refusal = Refusal::kCancelled}, "the caller has gone"));
    }

   private:
    ScriptedRanker* const ranker_;
    const std::shared_ptr<Submission> submission_;
  };

  static Tokenizer MakeTokenizer() {
    absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Create(
        {.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", "world", "##s"}});
    TAILOR_CHECK(tokenizer.ok());
    return *std::move(tokenizer);
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<Submission>> submissions_;
  Tokenizer tokenizer_;
  std::vector<ServedVariant> variants_;
};

}  // namespace tailor
