// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/health_service.h"

#include <optional>

#include "absl/strings/str_cat.h"

namespace tailor {
namespace {

constexpr int kPosted = 4;

}  // namespace

HealthService::HealthService(Health* health) : watches_(std::make_shared<HealthWatches>()) {
  health->Observe(
      [watches = watches_](HealthState state) { watches->Set(state == HealthState::kReady); });
}

std::vector<UnaryCall::Method> HealthService::Methods() {
  return {{.request =
               [this](grpc::ServerContext* context, grpc::ByteBuffer* bytes,
                      UnaryCall::Writer* writer, grpc::ServerCompletionQueue* queue, void* tag) {
                 service_.RequestCheck(context, bytes, writer, queue, queue, tag);
               },
           .handle = [this](const UnaryCall::Ptr& call) { Check(call); },
           .posted = kPosted}};
}

void HealthService::PostWatches(CallQueue* queue) {
  for (int i = 0; i < kPosted; ++i) HealthWatch::Post(&service_, watches_.get(), queue);
}

void HealthService::Check(const UnaryCall::Ptr& call) {
  const auto* request = call->Parse<grpc::health::v1::HealthCheckRequest>();
  if (request == nullptr) {
    return call->FinishWithError({grpc::StatusCode::INVALID_ARGUMENT,
                                  "message: expected a HealthCheckRequest, got other bytes"});
  }
  const auto state = watches_->StateOf(request->service());
  if (!state) {
    return call->FinishWithError(
        {grpc::StatusCode::NOT_FOUND,
         absl::StrCat("service: expected \"\" or tailor.v1.Ranker, got ", request->service())});
  }
  auto* response = call->NewMessage<grpc::health::v1::HealthCheckResponse>();
  response->set_status(*state);
  call->Finish(*response);
}

}  // namespace tailor
