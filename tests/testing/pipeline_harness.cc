// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/pipeline_harness.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tailor {
namespace {

constexpr int kNumWords = 100;
constexpr int kQueryTokens = 1;

}  // namespace

std::shared_ptr<const Tokenizer> MakeWordTokenizer() {
  // Once a test binary: building its Unicode tables takes longer than most tests.
  static const std::shared_ptr<const Tokenizer> tokenizer = [] {
    TokenizerOptions options;
    options.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    for (int i = 0; i < kNumWords; ++i) options.vocabulary.push_back("w" + std::to_string(i));
    absl::StatusOr<Tokenizer> made = Tokenizer::Create(std::move(options));
    TAILOR_CHECK(made.ok());
    return std::make_shared<const Tokenizer>(*std::move(made));
  }();
  return tokenizer;
}

std::vector<ServedVariant> MakeServed(const std::vector<FakeVariant>& variants) {
  std::vector<ServedVariant> served;
  for (const FakeVariant& variant : variants) {
    ServedVariant entry;
    entry.id = variant.id;
    entry.loaded.cut.variant = static_cast<int>(served.size());
    entry.loaded.num_outputs = variant.cost.num_outputs;
    entry.head = variant.head;
    entry.task.kind = variant.task;
    entry.task.score_index = variant.score_index;
    if (variant.quality) entry.quality = Quality{.ndcg10 = *variant.quality};
    served.push_back(std::move(entry));
  }
  return served;
}

RecorderOptions MakeRecorderOptions(const std::vector<FakeVariant>& variants) {
  RecorderOptions options;
  for (const FakeVariant& variant : variants) options.variants.push_back({.id = variant.id});
  return options;
}

std::string Words(int tokens, int seed) {
  std::string text;
  for (int i = 0; i < tokens; ++i) {
    text += (i == 0 ? "w" : " w") + std::to_string((seed + i * 7) % kNumWords);
  }
  return text;
}

std::shared_ptr<Call> MakeCall(const CallOptions& options) {
  auto call = std::make_shared<Call>();
  const bool is_pair = options.kind == RequestKind::kRank || options.kind == RequestKind::kScore;
  call->query = Words(kQueryTokens, options.seed);
  const int markers = is_pair ? kNumPairMarkers + kQueryTokens : kNumSingleMarkers;
  for (int i = 0; i < options.documents; ++i) {
    call->documents.push_back(Words(options.tokens - markers, options.seed + i));
  }
  return call;
}

Request MakeRequest(const Call& call, const CallOptions& options, TimePoint now) {
  Request request;
  request.kind = options.kind;
  const bool is_pair = options.kind == RequestKind::kRank || options.kind == RequestKind::kScore;
  for (const std::string& document : call.documents) {
    if (is_pair) {
      request.texts.push_back({call.query, document});
    } else {
      request.texts.push_back({document, std::nullopt});
    }
  }
  request.arrival = now - FromSeconds(options.age_ms * 1e-3);
  request.deadline = request.arrival + FromSeconds(options.budget_ms * 1e-3);
  request.priority = options.priority;
  request.variant = options.variant;
  request.min_quality = options.min_quality;
  request.top_n = options.top_n;
  request.may_cascade = options.may_cascade;
  return request;
}

RankerOptions PipelineHarness::Options() {
  RankerOptions options;
  options.reply_margin = Duration::zero();
  options.safety = 1;
  return options;
}

PipelineHarness::PipelineHarness(const std::vector<FakeVariant>& variants,
                                 const RankerOptions& options, int num_workers)
    : recorder_(MakeRecorderOptions(variants)) {
  std::vector<FakeCost> costs;
  costs.reserve(variants.size());
  for (const FakeVariant& variant : variants) costs.push_back(variant.cost);
  std::vector<std::unique_ptr<Backend>> backends;
  for (int i = 0; i < num_workers; ++i) {
    auto backend = std::make_unique<FakeBackend>(costs, options.limits, &clock_);
    backends_.push_back(backend.get());
    backends.push_back(std::move(backend));
  }
  auto ranker = SteppedRanker::Create(options, MakeWordTokenizer(), MakeServed(variants),
                                      std::move(backends), &recorder_, &clock_);
  TAILOR_CHECK(ranker.ok());
  ranker_ = *std::move(ranker);
  TAILOR_CHECK(ranker_->WarmUp().ok());
  for (FakeBackend* backend : backends_) backend->ClearRuns();
}

std::shared_ptr<Call> PipelineHarness::Submit(const CallOptions& options) {
  std::shared_ptr<Call> call = MakeCall(options);
  call->ticket = ranker_->Submit(MakeRequest(*call, options, clock_.Now()),
                                 [this, call](absl::StatusOr<Answer> answer) {
                                   ++call->answers;
                                   call->answered = clock_.Now();
                                   call->result = std::move(answer);
                                 });
  return call;
}

int PipelineHarness::RunAll() {
  int batches = 0;
  while (ranker_->RunOne(0)) ++batches;
  return batches;
}

}  // namespace tailor
