// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/ranker.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/thread.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/answering.h"
#include "server/pipeline/batch_queue.h"
#include "server/pipeline/explain.h"
#include "server/pipeline/intake.h"
#include "server/pipeline/live_quality.h"
#include "server/pipeline/refusal.h"
#include "server/pipeline/stepped_ranker.h"
#include "server/pipeline/worker.h"

namespace tailor {
namespace {

BatchLimits SmallestLimits(BatchLimits limits,
                           const std::vector<std::unique_ptr<Backend>>& backends) {
  for (const std::unique_ptr<Backend>& backend : backends) {
    const BatchLimits& other = backend->info().limits;
    limits.max_tokens = std::min(limits.max_tokens, other.max_tokens);
    limits.max_sequences = std::min(limits.max_sequences, other.max_sequences);
    limits.max_sequence_tokens = std::min(limits.max_sequence_tokens, other.max_sequence_tokens);
  }
  limits.max_sequence_tokens = std::min(limits.max_sequence_tokens, limits.max_tokens);
  return limits;
}

std::vector<std::string> IdsOf(const std::vector<ServedVariant>& variants) {
  std::vector<std::string> ids;
  ids.reserve(variants.size());
  for (const ServedVariant& variant : variants) ids.push_back(variant.id);
  return ids;
}

std::vector<int> NumOutputsOf(const std::vector<ServedVariant>& variants) {
  std::vector<int> num_outputs;
  num_outputs.reserve(variants.size());
  for (const ServedVariant& variant : variants) num_outputs.push_back(variant.loaded.num_outputs);
  return num_outputs;
}

// The baselines are what their papers say, and those chose one variant a request.
const CascadeTable* CascadeOf(const RankerOptions& options) {
  return options.policy == "tailored" ? options.cascade.get() : nullptr;
}

std::unique_ptr<LiveQuality> LiveQualityOf(const RankerOptions& options,
                                           const CurrentLimits& limits,
                                           std::span<const ServedVariant> served,
                                           Recorder* recorder) {
  if (options.live_quality.share <= 0) return nullptr;
  return std::make_unique<LiveQuality>(options.live_quality, limits, served, recorder);
}

// Those of the literature have answers to overload of their own, and baselines keep their rules.
bool HasBackstop(const RankerOptions& options) {
  return options.has_backstop &&
         (options.policy == "tailored" || options.policy.starts_with("fixed:"));
}

// What the thread that calls an engine computes alone. The other threads of an engine are kept
// where a caller other than its worker's thread would be in their way.
VariantSet OneThread(const std::vector<ServedVariant>& served,
                     const std::vector<std::unique_ptr<Backend>>& backends) {
  const bool all = std::all_of(backends.begin(), backends.end(),
                               [](const auto& backend) { return backend->info().threads == 1; });
  VariantSet set;
  for (size_t i = 0; i < served.size(); ++i) set[i] = all || served[i].num_layers == 0;
  return set;
}

struct PipelineInput {
  RankerOptions options;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<ServedVariant> variants;
  std::vector<std::unique_ptr<Backend>> backends;
  Recorder* recorder = nullptr;
  const Clock* clock = nullptr;
  bool has_threads = true;
};

absl::Status CheckInput(const PipelineInput& input) {
  const size_t count = input.variants.size();
  if (count == 0 || count > kMaxVariants) {
    return absl::InvalidArgumentError(
        absl::StrCat("variants: expected 1 to ", kMaxVariants, ", got ", count));
  }
  if (input.backends.empty()) {
    return absl::InvalidArgumentError("backends: expected at least 1, got 0");
  }
  if (static_cast<size_t>(input.recorder->num_variants()) != count) {
    return absl::InvalidArgumentError(absl::StrCat("recorder: expected ", count, " variants, got ",
                                                   input.recorder->num_variants()));
  }
  return absl::OkStatus();
}

class Pipeline final : public SteppedRanker {
 public:
  Pipeline(PipelineInput input, std::unique_ptr<Selector> selector)
      : options_(input.options),
        limits_(SmallestLimits(options_.limits, input.backends)),
        tokenizer_(std::move(input.tokenizer)),
        served_(std::move(input.variants)),
        recorder_(input.recorder),
        clock_(input.clock),
        selector_(std::move(selector)),
        admission_(options_, limits_, served_),
        live_quality_(LiveQualityOf(options_, limits_, served_, recorder_)),
        variants_(served_, recorder_, options_.live_quality),
        queue_(std::make_shared<BatchQueue>(
            QueueOptions{.limits = limits_,
                         .num_workers = static_cast<int>(input.backends.size()),
                         .safety = options_.safety,
                         .reply_margin = options_.reply_margin,
                         .max_requests = options_.max_queued_requests,
                         .max_tokens = options_.max_queued_tokens,
                         .num_outputs = NumOutputsOf(served_),
                         .cascade = CascadeOf(options_),
                         .live_quality = live_quality_.get(),
                         .has_backstop = HasBackstop(options_),
                         .one_thread = OneThread(served_, input.backends)},
            selector_.get(), recorder_)),
        has_threads_(input.has_threads),
        intake_({.limits = limits_.Get(),
                 .tokenizer = tokenizer_.get(),
                 .served = served_,
                 .admission = &admission_,
                 .variants = &variants_,
                 .queue = queue_,
                 .choosable = selector_->Choosable(variants_.States(clock_->Now())),
                 .tokenizer_threads = has_threads_ ? options_.tokenizer_threads : 0,
                 .on_pushed = [this](std::span<const VariantState> variants,
                                     TimePoint now) { OnPushed(variants, now); },
                 .recorder = recorder_,
                 .clock = clock_}),
        parts_{.served = served_,
               .limits = limits_,
               .queue = queue_.get(),
               .variants = &variants_,
               .decisions = &decisions_,
               .cascade = CascadeOf(options_),
               .live_quality = live_quality_.get(),
               .recorder = recorder_,
               .clock = clock_,
               .on_device_lost = [this](const absl::Status& problem) { OnDeviceLost(problem); }} {
    for (std::unique_ptr<Backend>& backend : input.backends) {
      const int index = static_cast<int>(workers_.size());
      workers_.push_back(std::make_unique<Worker>(index, std::move(backend), parts_));
    }
    recorder_->SetMaxBatchTokens(limits_.Get().max_tokens);
    if (!has_threads_ || parts_.cascade == nullptr) return;
    deadline_thread_ = Thread("deadline", [this] {
      while (queue_->WaitForDue(*clock_)) tailor::AnswerDue(parts_);
    });
  }

  ~Pipeline() override {
    intake_.StopTokenizing();
    RefuseQueued(MakeRefusal({.refusal = Refusal::kNotReady}, "the server is stopping"));
    intake_.Join();
    queue_->AwaitSubmitters();
    threads_.clear();
    deadline_thread_.Join();
  }

  absl::Status WarmUp() override {
    absl::Status result;
    if (has_threads_) {
      result = WarmUpOnThreads();
    } else {
      for (const auto& worker : workers_) result.Update(worker->WarmUp(WarmUpOptionsOf()));
    }
    intake_.SetWarm(result.ok());
    return result;
  }

  std::shared_ptr<Ticket> Submit(Request request, AnswerCallback done) override {
    auto pending = std::make_shared<PendingRequest>();
    pending->request = std::move(request);
    pending->done = std::move(done);
    return intake_.Start(pending);
  }

  std::shared_ptr<Ticket> SubmitLengths(Request request, std::vector<int32_t> lengths,
                                        AnswerCallback done) override {
    auto pending = std::make_shared<PendingRequest>();
    request.texts.assign(lengths.size(), TextPair());
    pending->request = std::move(request);
    pending->encoded = EncodeLengths(std::move(lengths));
    pending->done = std::move(done);
    return intake_.Start(pending);
  }

  void StopAdmitting() override { intake_.StopAdmitting(); }
  const Tokenizer& tokenizer() const override { return *tokenizer_; }
  const std::vector<ServedVariant>& variants() const override { return served_; }
  bool RunOne(int worker) override { return workers_[static_cast<size_t>(worker)]->RunOne(); }
  int AnswerDue() override { return tailor::AnswerDue(parts_); }
  std::optional<TimePoint> IdleUntil() const override { return queue_->IdleUntil(); }

  Explanation Explain(const ExplainQuery& query) const override {
    const TimePoint now = clock_->Now();
    const std::vector<VariantState> states = variants_.States(now);
    const ExplainContext context{.served = served_,
                                 .variants = states,
                                 .selector = *selector_,
                                 .admission = admission_,
                                 .cascade = CascadeOf(options_),
                                 .limits = limits_.Get(),
                                 .reply_margin = options_.reply_margin,
                                 .now = now};
    Explanation explanation;
    queue_->Inspect(
        now, [&](const QueueLoad& load) { explanation = ExplainChoice(context, query, load); });
    return explanation;
  }

  StatusReport Report() const override {
    const TimePoint now = clock_->Now();
    const QueueTotals totals = queue_->Totals();
    StatusReport report{.warm = intake_.is_warm(),
                        .admitting = intake_.is_admitting(),
                        .policy = options_.policy,
                        .queued_requests = totals.requests,
                        .queued_tokens = totals.tokens,
                        .costs = {},
                        .available = {},
                        .on_ladder = variants_.OnLadder(now),
                        .decisions = decisions_.Newest()};
    for (const VariantState& state : variants_.States(now)) {
      report.costs.push_back(state.cost);
      report.available.push_back(state.is_available);
    }
    return report;
  }

 private:
  // Those that wait now, and all that come later.
  void RefuseQueued(const absl::Status& refusal) {
    for (const PendingPtr& pending : queue_->Stop(refusal)) pending->Finish(refusal);
  }

  void OnDeviceLost(const absl::Status& problem) {
    if (is_device_lost_.exchange(true)) return;
    options_.on_device_lost(problem);
    intake_.LoseDevice();
    RefuseQueued(DeviceLost());
  }

  // Whoever submits a short request to an idle server runs it, and answers it, itself.
  void OnPushed(std::span<const VariantState> variants, TimePoint now) {
    if (!has_threads_) return;
    const std::optional<int> worker = queue_->ClaimOrWake(variants, now);
    if (!worker) return;
    workers_[static_cast<size_t>(*worker)]->RunOne(variants, now);
    queue_->Release(*worker);
  }

  WarmUpOptions WarmUpOptionsOf() const {
    return {.limits = limits_.Get(),
            .vocab_size = static_cast<int>(tokenizer_->vocabulary().size())};
  }

  // Each worker measures on the thread that will run its batches, and goes on to serve.
  absl::Status WarmUpOnThreads() {
    for (size_t i = threads_.size(); i < workers_.size(); ++i) {
      Worker* worker = workers_[i].get();
      threads_.emplace_back(absl::StrCat("worker-", i),
                            [this, worker, index = static_cast<int>(i)] {
                              worker->PinThread();
                              const absl::Status status = worker->WarmUp(WarmUpOptionsOf());
                              {
                                const MutexLock lock(&mutex_);
                                warm_up_status_.Update(status);
                                ++num_warm_;
                                warmed_.NotifyAll();
                              }
                              while (queue_->WaitForWork(index, *clock_)) worker->RunOne();
                            });
    }
    const MutexLock lock(&mutex_);
    while (num_warm_ < workers_.size()) warmed_.Wait(&mutex_);
    return warm_up_status_;
  }

  const RankerOptions options_;
  const CurrentLimits limits_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const std::vector<ServedVariant> served_;
  Recorder* const recorder_;
  const Clock* const clock_;
  const std::unique_ptr<Selector> selector_;
  const Admission admission_;
  const std::unique_ptr<LiveQuality> live_quality_;  // null: no reviews
  mutable VariantTable variants_;
  DecisionLog decisions_;
  const std::shared_ptr<BatchQueue> queue_;
  const bool has_threads_;
  std::atomic<bool> is_device_lost_{false};

  Intake intake_;
  const PipelineParts parts_;

  Mutex mutex_;
  CondVar warmed_;
  size_t num_warm_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status warm_up_status_ ABSL_GUARDED_BY(mutex_);

  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Thread> threads_;
  Thread deadline_thread_;  // not when there are no cascades
};

absl::StatusOr<std::unique_ptr<Pipeline>> MakePipeline(PipelineInput input) {
  TAILOR_RETURN_IF_ERROR(CheckInput(input));
  TAILOR_ASSIGN_OR_RETURN(std::unique_ptr<Selector> selector,
                          MakeSelector(input.options.policy, IdsOf(input.variants)));
  return std::make_unique<Pipeline>(std::move(input), std::move(selector));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ranker>> Ranker::Create(
    const RankerOptions& options, std::shared_ptr<const Tokenizer> tokenizer,
    std::vector<ServedVariant> variants, std::vector<std::unique_ptr<Backend>> backends,
    Recorder* recorder, const Clock* clock) {
  return MakePipeline({.options = options,
                       .tokenizer = std::move(tokenizer),
                       .variants = std::move(variants),
                       .backends = std::move(backends),
                       .recorder = recorder,
                       .clock = clock,
                       .has_threads = true});
}

absl::StatusOr<std::unique_ptr<SteppedRanker>> SteppedRanker::Create(
    const RankerOptions& options, std::shared_ptr<const Tokenizer> tokenizer,
    std::vector<ServedVariant> variants, std::vector<std::unique_ptr<Backend>> backends,
    Recorder* recorder, const Clock* clock) {
  return MakePipeline({.options = options,
                       .tokenizer = std::move(tokenizer),
                       .variants = std::move(variants),
                       .backends = std::move(backends),
                       .recorder = recorder,
                       .clock = clock,
                       .has_threads = false});
}

}  // namespace tailor
