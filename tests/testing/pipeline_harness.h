// SPDX-License-Identifier: Apache-2.0
// A pipeline on fakes: a small vocabulary, variants of known cost, a clock that tests move.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/pipeline/stepped_ranker.h"
#include "server/telemetry/recorder.h"
#include "tests/testing/fake_backend.h"
#include "tests/testing/manual_clock.h"

namespace tailor {

struct FakeVariant {
  std::string id;
  std::optional<double> quality;
  FakeCost cost;
  HeadKind head = HeadKind::kClassifier;
  TaskKind task = TaskKind::kRelevance;
  int score_index = 0;
};

// "w0" to "w99" are one token each; "[UNK]" is everything else.
std::shared_ptr<const Tokenizer> MakeWordTokenizer();

std::vector<ServedVariant> MakeServed(const std::vector<FakeVariant>& variants);
RecorderOptions MakeRecorderOptions(const std::vector<FakeVariant>& variants);

// A text of `tokens` words; `seed` makes it differ.
std::string Words(int tokens, int seed = 0);

// A request with its own texts, and what became of it.
struct Call {
  std::string query;
  std::vector<std::string> documents;
  std::shared_ptr<Ticket> ticket;
  int answers = 0;
  TimePoint answered;
  absl::StatusOr<Answer> result = absl::UnknownError("not answered");
};

struct CallOptions {
  RequestKind kind = RequestKind::kRank;
  int documents = 1;
  int tokens = 16;  // of every pair or text, special tokens included; at least 5
  double budget_ms = 1000;
  double age_ms = 0;  // time since the arrival
  int priority = 0;
  std::string variant;
  double min_quality = 0;
  int top_n = 0;
  bool may_cascade = true;
  int seed = 0;
};

// Not thread-safe.
class PipelineHarness {
 public:
  PipelineHarness(const std::vector<FakeVariant>& variants,
                  const RankerOptions& options = Options(), int num_workers = 1);

  // No reply margin and no safety factor, so that tests can compute what must come out.
  static RankerOptions Options();

  std::shared_ptr<Call> Submit(const CallOptions& options);
  // Batches on worker 0 until there is nothing to do; returns how many.
  int RunAll();

  ManualClock& clock() { return clock_; }
  Recorder& recorder() { return recorder_; }
  SteppedRanker& ranker() { return *ranker_; }
  FakeBackend& backend(int worker = 0) { return *backends_[static_cast<size_t>(worker)]; }
  // Ends the pipeline; calls live on.
  void Destroy() { ranker_.reset(); }

 private:
  ManualClock clock_;
  Recorder recorder_;
  std::vector<FakeBackend*> backends_;  // owned by the ranker
  std::unique_ptr<SteppedRanker> ranker_;
};

// The request of a call, with views into it.
Request MakeRequest(const Call& call, const CallOptions& options, TimePoint now);
std::shared_ptr<Call> MakeCall(const CallOptions& options);

}  // namespace tailor
