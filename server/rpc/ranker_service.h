// SPDX-License-Identifier: Apache-2.0
// tailor.v1.Ranker: the first file that a request meets. Handlers check, hand over to the pipeline
// and map what comes back; they never wait.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "server/pipeline/ranker.h"
#include "server/rpc/exchange.h"
#include "server/rpc/request_validation.h"
#include "server/rpc/side_thread.h"
#include "server/rpc/unary_call.h"
#include "tailor/v1/ranker.grpc.pb.h"

namespace tailor {

// Thread-safe. What it points at outlives it.
class RankerService {
 public:
  // `ranker` is null when no variant could be loaded: then everything is refused as NOT_READY.
  // `recorder` may be null.
  RankerService(Ranker* ranker, Recorder* recorder, const Clock* clock,
                const RequestLimits& limits);

  grpc::Service* service() { return &service_; }
  // One a method; valid as long as this object.
  std::vector<UnaryCall::Method> Methods();

 private:
  // Every method as raw bytes, so that UnaryCall can judge them before they are parsed.
  using Raw = v1::Ranker::WithRawMethod_Rank<v1::Ranker::WithRawMethod_Score<
      v1::Ranker::WithRawMethod_Embed<v1::Ranker::WithRawMethod_Classify<
          v1::Ranker::WithRawMethod_Tokenize<v1::Ranker::Service>>>>>;
  using Handler = void (RankerService::*)(const Exchange::Ptr&);

  void Rank(const Exchange::Ptr& exchange);
  void Score(const Exchange::Ptr& exchange);
  void Embed(const Exchange::Ptr& exchange);
  void Classify(const Exchange::Ptr& exchange);
  void Tokenize(const Exchange::Ptr& exchange);

  // Hands the request to the pipeline. `fill` makes the response of an answer; it runs on a thread
  // of the pipeline, or before this returns.
  template <typename Fill>
  void Submit(const Exchange::Ptr& exchange, int64_t latency_budget_us,
              absl::StatusOr<Request> request, Fill fill);

  const ServedVariant* VariantOf(const Answer& answer) const;

  Ranker* const ranker_;
  Recorder* const recorder_;
  const Clock* const clock_;
  const RequestLimits limits_;
  Raw service_;
  SideThread tokenize_thread_;
};

}  // namespace tailor
