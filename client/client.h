// SPDX-License-Identifier: Apache-2.0
// The C++ client of a Tailor server. No gRPC or protobuf types appear here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"

namespace tailor::client {

enum class ScoreScale { kModel, kRaw, kSigmoid };

// What the caller wants of the server, apart from the texts; see ServingOptions in
// proto/tailor/v1/ranker.proto.
struct CallOptions {
  Duration budget{};       // zero: the server's default; resolution 1 us, at most 60 s
  int priority = 0;        // 0 to 2
  std::string variant;     // pin; empty: the server chooses
  double min_quality = 0;  // 0: any
};

// How an answer came about; see Execution in the protocol.
struct Execution {
  std::string variant;
  double quality = 0;
  std::string reason;
  Duration budget{};
  Duration predicted{};
  Duration queue{};
  Duration compute{};
  Duration total{};
  int64_t tokens = 0;
  int truncated = 0;
};

struct RankedDocument {
  int index = 0;  // into the documents of the call
  float score = 0;
  bool truncated = false;
  std::string variant;  // of a cascade: which scored it last; empty: Execution::variant
};

// Texts are UTF-8; the views must stay valid until the call returns.
struct RankCall {
  std::string_view query;
  std::vector<std::string_view> documents;
  CallOptions options;
  int top_n = 0;  // 0: all
  ScoreScale scale = ScoreScale::kModel;
  bool may_cascade = true;  // documents may be scored by different variants
};

struct RankResult {
  std::vector<RankedDocument> documents;  // best first
  Execution execution;
  int attempts = 1;
};

struct ScoreCall {
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  CallOptions options;
  ScoreScale scale = ScoreScale::kModel;
};

struct ScoreResult {
  std::vector<float> scores;    // in the order of the pairs
  std::vector<bool> truncated;  // same
  Execution execution;
  int attempts = 1;
};

// Retries happen only for OVERLOADED, only after the pause that the server asks for, only when that
// pause fits into what is left of the budget, and only while the retry budget lasts.
struct RetryPolicy {
  int max_attempts = 1;  // 1: never
  double max_tokens = 10;
  double earned_per_success = 0.1;
};

struct ClientOptions {
  std::string server = "127.0.0.1:50051";
  // A call ends with DEADLINE_EXCEEDED this long after its budget: the server answers or refuses
  // within the budget, this is for the way there and back.
  Duration deadline_slack = std::chrono::milliseconds(250);
  // For calls without a budget. Kept by the client alone: a deadline on the wire would take the
  // place of the server's default budget.
  Duration default_timeout = std::chrono::seconds(30);
  RetryPolicy retry;
  // Pauses before a retry; tests replace it.
  std::function<void(Duration)> pause;
};

// Thread-safe. One channel, connected at the first call at the latest and reused; a lost connection
// comes back by itself. Errors are statuses that GetCallError (client/call_error.h) reads.
class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Optional: sets up the connection before the first call, whose time is then that of the call
  // alone. UNAVAILABLE when no server answers; later calls try again all the same.
  absl::Status Connect(Duration timeout);

  absl::StatusOr<RankResult> Rank(const RankCall& call);
  absl::StatusOr<ScoreResult> Score(const ScoreCall& call);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace tailor::client
