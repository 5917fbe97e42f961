// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/simulator.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"
#include "server/pipeline/refusal.h"
#include "server/pipeline/stepped_ranker.h"
#include "server/simulator/log_histogram.h"
#include "server/simulator/virtual_clock.h"
#include "server/telemetry/recorder.h"

namespace tailor {
namespace {

constexpr size_t kMaxSeconds = 24 * 3600;

absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeTokenizer() {
  // Nothing is tokenised; without its tables it is made in no time.
  TokenizerOptions options;
  options.lower_case = false;
  options.strip_accents = false;
  options.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
  TAILOR_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::Create(std::move(options)));
  return std::make_shared<const Tokenizer>(std::move(tokenizer));
}

std::vector<ServedVariant> ServedOf(const Profile& profile) {
  std::vector<ServedVariant> served;
  for (const ProfileCut& cut : profile.cuts) {
    ServedVariant variant;
    variant.id = cut.id;
    variant.loaded.cut.variant = static_cast<int>(served.size());
    variant.task.max_tokens = profile.limits.max_sequence_tokens;
    variant.quality = Quality{.ndcg10 = cut.quality};
    served.push_back(std::move(variant));
  }
  return served;
}

RecorderOptions RecorderOptionsOf(const Profile& profile) {
  RecorderOptions options;
  for (const ProfileCut& cut : profile.cuts) options.variants.push_back({.id = cut.id});
  return options;
}

class Simulation {
 public:
  Simulation(const Profile& profile, RequestSource* source, const SimulationOptions& options)
      : profile_(profile),
        source_(source),
        options_(options),
        recorder_(RecorderOptionsOf(profile)) {
    for (const ProfileCut& cut : profile.cuts) result_.cuts.push_back({.id = cut.id});
  }

  absl::Status Start() {
    auto backend = std::make_unique<SimulatedBackend>(
        &profile_, EngineNoise(options_.noise, options_.fault, options_.run, options_.seed),
        &clock_);
    backend_ = backend.get();
    std::vector<std::unique_ptr<Backend>> backends;
    backends.push_back(std::move(backend));
    RankerOptions ranker_options;
    ranker_options.policy = options_.policy;
    ranker_options.limits = profile_.limits;
    ranker_options.reply_margin = profile_.reply_margin;
    ranker_options.has_backstop = options_.has_backstop;
    TAILOR_ASSIGN_OR_RETURN(std::shared_ptr<const Tokenizer> tokenizer, MakeTokenizer());
    TAILOR_ASSIGN_OR_RETURN(
        ranker_, SteppedRanker::Create(ranker_options, std::move(tokenizer), ServedOf(profile_),
                                       std::move(backends), &recorder_, &clock_));
    TAILOR_RETURN_IF_ERROR(ranker_->WarmUp());
    started_ = clock_.Now();
    backend_->Begin([this](TimePoint end) {
      TimeDecision();
      PassTime(end);
    });
    return absl::OkStatus();
  }

  absl::StatusOr<SimulationResult> Run() {
    TAILOR_RETURN_IF_ERROR(Fetch());
    for (;;) {
      const int64_t batches = backend_->totals().batches;
      decision_began_ = std::chrono::steady_clock::now();
      const bool has_worked = ranker_->RunOne(0);
      TAILOR_RETURN_IF_ERROR(source_status_);
      if (backend_->totals().batches > batches) PassTime(clock_.Now() + profile_.batch_overhead);
      if (has_worked) continue;
      const std::optional<TimePoint> next = NextEvent();
      if (!next) break;
      PassTime(*next);
    }
    // Whatever a policy has left waiting is refused by the end of the pipeline.
    ranker_.reset();
    result_.seconds = ToSeconds(last_answer_ - started_);
    result_.latency_p50 = latencies_.Quantile(0.5);
    result_.latency_p99 = latencies_.Quantile(0.99);
    result_.decision_p50 = decisions_.Quantile(0.5);
    result_.decision_p99 = decisions_.Quantile(0.99);
    result_.engine = totals_;
    return std::move(result_);
  }

 private:
  // What an idle worker waits for: an arrival, or the time that the policy asked for.
  std::optional<TimePoint> NextEvent() const {
    // A policy that asks for a time which has come would stop the clock.
    constexpr Duration kLeastWait = std::chrono::microseconds(1);
    std::optional<TimePoint> next = ranker_->IdleUntil();
    if (next) next = std::max(*next, clock_.Now() + kLeastWait);
    if (has_next_ && (!next || SubmitTime() < *next)) next = SubmitTime();
    return next;
  }

  TimePoint SubmitTime() const { return started_ + next_.offset + profile_.request_overhead; }

  absl::Status Fetch() {
    const Duration last = next_.offset;
    TAILOR_ASSIGN_OR_RETURN(has_next_, source_->Next(&next_));
    TAILOR_CHECK(!has_next_ || next_.offset >= last);
    return absl::OkStatus();
  }

  // Moves the clock, and submits what arrives meanwhile.
  void PassTime(TimePoint end) {
    while (has_next_ && source_status_.ok() && SubmitTime() <= end) {
      clock_.AdvanceTo(SubmitTime());
      Submit();
      source_status_ = Fetch();
    }
    clock_.AdvanceTo(end);
    totals_ = backend_->totals();
  }

  void Submit() {
    Request request;
    request.arrival = started_ + next_.offset;
    request.deadline = request.arrival + next_.budget;
    request.priority = next_.priority;
    const size_t second = std::min(static_cast<size_t>(ToSeconds(next_.offset)), kMaxSeconds - 1);
    if (second >= result_.by_second.size()) result_.by_second.resize(second + 1);
    ++result_.requests;
    ++result_.by_second[second].requests;
    const auto documents = static_cast<int64_t>(next_.lengths.size());
    is_submitting_ = true;
    ranker_->SubmitLengths(
        request, std::move(next_.lengths),
        [this, second, documents, arrival = request.arrival](const absl::StatusOr<Answer>& answer) {
          OnAnswer(answer, arrival, second, documents);
        });
    is_submitting_ = false;
  }

  void OnAnswer(const absl::StatusOr<Answer>& answer, TimePoint arrival, size_t second,
                int64_t documents) {
    last_answer_ = clock_.Now();
    if (!answer.ok()) {
      if (GetRefusal(answer.status()).refusal == Refusal::kDeadline) {
        ++result_.late;
      } else {
        ++(is_submitting_ ? result_.refused : result_.given_up);
      }
      return;
    }
    const auto cut = static_cast<size_t>(answer->variant);
    const double quality = profile_.cuts[cut].quality;
    ++result_.met;
    ++result_.cuts[cut].met;
    ++result_.by_second[second].met;
    result_.by_second[second].quality += quality;
    result_.quality += quality;
    result_.documents_met += documents;
    latencies_.Add(ToSeconds(clock_.Now() - arrival));
  }

  void TimeDecision() {
    if (!options_.time_decisions) return;
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - decision_began_;
    decisions_.Add(taken.count());
  }

  const Profile& profile_;
  RequestSource* const source_;
  const SimulationOptions options_;
  VirtualClock clock_;
  Recorder recorder_;
  SimulatedBackend* backend_ = nullptr;  // the ranker's
  TimePoint started_;
  TimePoint last_answer_;

  SimulatedRequest next_;
  bool has_next_ = false;
  bool is_submitting_ = false;
  absl::Status source_status_;
  std::chrono::steady_clock::time_point decision_began_;

  LogHistogram latencies_;
  LogHistogram decisions_;
  EngineTotals totals_;
  SimulationResult result_;
  // Last: its end answers what waits.
  std::unique_ptr<SteppedRanker> ranker_;
};

}  // namespace

absl::StatusOr<SimulationResult> Simulate(const Profile& profile, RequestSource* source,
                                          const SimulationOptions& options) {
  Simulation simulation(profile, source, options);
  TAILOR_RETURN_IF_ERROR(simulation.Start());
  return simulation.Run();
}

}  // namespace tailor
