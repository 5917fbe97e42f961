// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/outcome.h"

namespace tailor {

std::string_view RpcMethodName(RpcMethod method) {
  switch (method) {
    case RpcMethod::kRank:
      return "Rank";
    case RpcMethod::kScore:
      return "Score";
    case RpcMethod::kEmbed:
      return "Embed";
    case RpcMethod::kClassify:
      return "Classify";
    case RpcMethod::kTokenize:
      return "Tokenize";
    case RpcMethod::kAdmin:
      return "Admin";
  }
  return "";
}

std::string_view OutcomeReason(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kInvalidArgument:
      return "invalid_argument";
    case Outcome::kTooLarge:
      return "too_large";
    case Outcome::kUnknownVariant:
      return "unknown_variant";
    case Outcome::kUnsupportedOutput:
      return "unsupported_output";
    case Outcome::kBudgetInfeasible:
      return "budget_infeasible";
    case Outcome::kQualityInfeasible:
      return "quality_infeasible";
    case Outcome::kOverloaded:
      return "overloaded";
    case Outcome::kDeadline:
      return "deadline";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kNotReady:
      return "not_ready";
    case Outcome::kEngine:
      return "engine";
    case Outcome::kDeviceLost:
      return "device_lost";
  }
  return "";
}

std::string_view OutcomeCode(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "OK";
    case Outcome::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Outcome::kUnknownVariant:
      return "NOT_FOUND";
    case Outcome::kUnsupportedOutput:
    case Outcome::kBudgetInfeasible:
    case Outcome::kQualityInfeasible:
      return "FAILED_PRECONDITION";
    case Outcome::kTooLarge:
    case Outcome::kOverloaded:
      return "RESOURCE_EXHAUSTED";
    case Outcome::kDeadline:
      return "DEADLINE_EXCEEDED";
    case Outcome::kCancelled:
      return "CANCELLED";
    case Outcome::kNotReady:
    case Outcome::kDeviceLost:
      return "UNAVAILABLE";
    case Outcome::kEngine:
      return "INTERNAL";
  }
  return "";
}

std::string_view PipelinePointName(PipelinePoint point) {
  switch (point) {
    case PipelinePoint::kArrival:
      return "arrival";
    case PipelinePoint::kTokenized:
      return "tokenized";
    case PipelinePoint::kDequeue:
      return "dequeue";
    case PipelinePoint::kReply:
      return "reply";
  }
  return "";
}

std::string_view StageName(Stage stage) {
  switch (stage) {
    case Stage::kParse:
      return "parse";
    case Stage::kTokenize:
      return "tokenize";
    case Stage::kQueue:
      return "queue";
    case Stage::kBatch:
      return "batch";
    case Stage::kEngine:
      return "engine";
    case Stage::kPost:
      return "post";
    case Stage::kReply:
      return "reply";
  }
  return "";
}

}  // namespace tailor
