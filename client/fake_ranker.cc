// SPDX-License-Identifier: Apache-2.0
#include "client/fake_ranker.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"

#include "base/check.h"
#include "base/mutex.h"
#include "tailor/v1/ranker.grpc.pb.h"

namespace tailor::client {
namespace {

grpc::Status ToStatus(const ToldAnswer& answer) {
  if (answer.code == 0) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(answer.code);
  if (!answer.raw_details.empty()) return {code, answer.message, answer.raw_details};
  if (answer.reason.empty()) return {code, answer.message};
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  info.set_reason(answer.reason);
  info.set_domain("tailor");
  if (answer.smallest_feasible_budget_us) {
    (*info.mutable_metadata())["smallest_feasible_budget_us"] =
        absl::StrCat(*answer.smallest_feasible_budget_us);
  }
  details.add_details()->PackFrom(info);
  if (answer.retry_after_ms) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_nanos(
        static_cast<int32_t>(*answer.retry_after_ms * 1'000'000));
    details.add_details()->PackFrom(retry);
  }
  return {code, answer.message, details.SerializeAsString()};
}

void FillExecution(const ToldAnswer& answer, const SeenCall& call, v1::Execution* execution) {
  execution->set_variant(answer.variant);
  execution->set_quality(0.75);
  execution->set_reason("fit");
  execution->set_budget_us(call.budget_us);
  execution->set_predicted_us(1500);
  execution->set_total_us(1250);
  execution->set_tokens(static_cast<int64_t>(call.documents.size()) * 10);
}

SeenCall See(const grpc::ServerContext& context, const v1::ServingOptions& options) {
  SeenCall call;
  call.budget_us = options.latency_budget_us();
  call.priority = options.priority();
  call.variant = options.variant();
  call.min_quality = options.min_quality();
  call.deadline_in_s =
      std::chrono::duration<double>(context.deadline() - std::chrono::system_clock::now()).count();
  return call;
}

}  // namespace

class FakeRanker::Impl final : public v1::Ranker::Service {
 public:
  explicit Impl(std::function<ToldAnswer(const SeenCall&)> behave) : behave_(std::move(behave)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    TAILOR_CHECK(server_ != nullptr && port_ != 0);
  }

  grpc::Status Rank(grpc::ServerContext* context, const v1::RankRequest* request,
                    v1::RankResponse* response) override {
    SeenCall call = See(*context, request->options());
    call.query = request->query();
    call.documents.assign(request->documents().begin(), request->documents().end());
    call.top_n = request->top_n();
    call.scale = request->scale();
    call.cascade = request->cascade();
    const ToldAnswer answer = Answer(call);
    for (int i = request->documents_size() - 1; answer.code == 0 && i >= 0; --i) {
      v1::RankedDocument* document = response->add_results();
      document->set_index(i);
      document->set_score(static_cast<float>(i));
      if (!answer.scored_by.empty()) {
        document->set_variant(answer.scored_by[static_cast<size_t>(i)]);
      }
    }
    FillExecution(answer, call, response->mutable_execution());
    return ToStatus(answer);
  }

  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override {
    SeenCall call = See(*context, request->options());
    for (const v1::TextPair& pair : request->pairs()) {
      call.documents.push_back(pair.first());
      call.documents.push_back(pair.second());
      response->add_scores(static_cast<float>(response->scores_size()));
      response->add_truncated(false);
    }
    const ToldAnswer answer = Answer(call);
    FillExecution(answer, call, response->mutable_execution());
    return ToStatus(answer);
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  std::vector<SeenCall> calls() const {
    const MutexLock lock(&mutex_);
    return calls_;
  }

 private:
  ToldAnswer Answer(const SeenCall& call) {
    {
      const MutexLock lock(&mutex_);
      calls_.push_back(call);
    }
    return behave_(call);
  }

  const std::function<ToldAnswer(const SeenCall&)> behave_;
  int port_ = 0;
  mutable Mutex mutex_;
  std::vector<SeenCall> calls_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;  // last: its threads use the rest
};

FakeRanker::FakeRanker(std::function<ToldAnswer(const SeenCall&)> behave)
    : impl_(std::make_unique<Impl>(std::move(behave))) {}
FakeRanker::~FakeRanker() = default;
std::string FakeRanker::address() const { return impl_->address(); }
std::vector<SeenCall> FakeRanker::calls() const { return impl_->calls(); }

}  // namespace tailor::client
