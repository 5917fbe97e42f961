// SPDX-License-Identifier: Apache-2.0
// How a call ended, as metrics count it: a fixed set, so that labels never depend on input.
#pragma once

#include <string_view>

namespace tailor {

enum class RpcMethod { kRank, kScore, kEmbed, kClassify, kTokenize, kAdmin };
inline constexpr int kNumRpcMethods = 6;

enum class Outcome {
  kOk,
  kInvalidArgument,
  kTooLarge,
  kUnknownVariant,
  kUnsupportedOutput,
  kBudgetInfeasible,
  kQualityInfeasible,
  kOverloaded,
  kDeadline,
  kCancelled,
  kNotReady,
  kEngine,
  kDeviceLost,
};
inline constexpr int kNumOutcomes = 13;

// Where a request was given up.
enum class PipelinePoint { kArrival, kTokenized, kDequeue, kReply };
inline constexpr int kNumPipelinePoints = 4;

// Parts of a request's way. kParse, kTokenize and kReply are those of a call, whatever its variant;
// kPost is what follows a batch, the replies to its callers included.
enum class Stage { kParse, kTokenize, kQueue, kBatch, kEngine, kPost, kReply };
inline constexpr int kNumStages = 7;

inline constexpr int kNumPriorities = 3;

std::string_view RpcMethodName(RpcMethod method);  // "Rank"
std::string_view OutcomeReason(Outcome outcome);   // "ok", "overloaded"
std::string_view OutcomeCode(Outcome outcome);     // the gRPC code, "RESOURCE_EXHAUSTED"
std::string_view PipelinePointName(PipelinePoint point);
std::string_view StageName(Stage stage);

}  // namespace tailor
