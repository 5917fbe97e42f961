// SPDX-License-Identifier: Apache-2.0
// tailor.v1.Admin: what is served, how it does, what would be chosen. Answers from memory, at once.
#pragma once

#include <vector>

#include "base/clock.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/server_facts.h"
#include "server/rpc/exchange.h"
#include "server/rpc/request_validation.h"
#include "server/rpc/unary_call.h"
#include "server/telemetry/health.h"
#include "tailor/v1/admin.grpc.pb.h"

namespace tailor {

// Thread-safe. What it points at outlives it.
class AdminService {
 public:
  // `ranker` and `recorder` may be null, see RankerService.
  AdminService(Ranker* ranker, const ServerFacts* facts, const Health* health, Recorder* recorder,
               const Clock* clock, const RequestLimits& limits);

  grpc::Service* service() { return &service_; }
  std::vector<UnaryCall::Method> Methods();

 private:
  using Raw = v1::Admin::WithRawMethod_ListVariants<
      v1::Admin::WithRawMethod_GetStatus<v1::Admin::WithRawMethod_Explain<v1::Admin::Service>>>;

  void ListVariants(const Exchange::Ptr& exchange);
  void GetStatus(const Exchange::Ptr& exchange);
  void Explain(const Exchange::Ptr& exchange);

  Ranker* const ranker_;
  const ServerFacts* const facts_;
  const Health* const health_;
  Recorder* const recorder_;
  const Clock* const clock_;
  const RequestLimits limits_;
  Raw service_;
};

}  // namespace tailor
