// SPDX-License-Identifier: Apache-2.0
// A request and its answer as the pipeline sees them: no protobuf, no gRPC.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"

namespace tailor {

enum class RequestKind { kRank, kScore, kEmbed, kClassify };

struct TextPair {
  std::string_view first;
  std::optional<std::string_view> second;
};

struct Request {
  RequestKind kind = RequestKind::kRank;
  // The views must stay valid until the request's callback has returned. kRank: every pair has the
  // query as `first`, which is encoded once.
  std::vector<TextPair> texts;
  int top_n = 0;  // kRank: only the best n; 0 or less: all
  // kRank: by the logit instead of the score that the task's activation makes of it. Only a softmax
  // over several outputs orders them differently.
  bool order_by_logit = false;
  TimePoint arrival;
  TimePoint deadline;   // arrival + what the caller allows
  int priority = 0;     // 0 to 2
  std::string variant;  // pin; empty: the server chooses
  double min_quality = 0;
  bool may_cascade = true;  // kRank: documents may be scored by different variants
};

enum class SelectionReason {
  kFit,         // what the policy gives on an idle server
  kDegraded,    // the load forced a cheaper one than an idle server would have taken
  kPin,         // the caller named it
  kProbe,       // to see whether a variant that had become slow has recovered
  kCascade,     // all documents by one variant, then the best by a better one
  kInfeasible,  // nothing was predicted to be in time; the cheapest was tried
};
std::string_view ReasonName(SelectionReason reason);

struct Answer {
  std::vector<float> outputs;  // [texts, num_outputs] raw logits or embeddings
  int num_outputs = 1;
  std::vector<int32_t> order;      // kRank: indices into texts, best first, ties in request order
  std::vector<uint8_t> truncated;  // [texts] 0 or 1
  int variant = -1;                // index into Ranker::variants(); -1 when nothing had to run
  // kRank: [texts] which variant scored each, when a cascade scored them by two; `variant` is the
  // second of these then, and `outputs` are on the scale that all share. Empty otherwise.
  std::vector<int> variants;
  double cascade_quality = 0;  // of such an answer, as measured
  SelectionReason reason = SelectionReason::kFit;
  Duration budget{};
  Duration predicted{};  // arrival to reply, as predicted at the choice
  Duration queue{};
  Duration compute{};
  int64_t tokens = 0;
};

// Called exactly once per request, from a pipeline thread or from within Submit.
using AnswerCallback = std::function<void(absl::StatusOr<Answer>)>;

}  // namespace tailor
