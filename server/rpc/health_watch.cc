// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/health_watch.h"

#include <utility>

namespace tailor {
namespace {

constexpr char kService[] = "tailor.v1.Ranker";

}  // namespace

std::optional<HealthWatches::Status::ServingStatus> HealthWatches::StateLocked(
    const std::string& service) const {
  if (!service.empty() && service != kService) return std::nullopt;
  return is_serving_ && !has_ended_ ? Status::SERVING : Status::NOT_SERVING;
}

std::optional<HealthWatches::Status::ServingStatus> HealthWatches::StateOf(
    const std::string& service) const {
  const MutexLock lock(&mutex_);
  return StateLocked(service);
}

void HealthWatches::Set(bool is_serving) {
  const MutexLock lock(&mutex_);
  is_serving_ = is_serving;
  for (const std::shared_ptr<HealthWatch>& watch : watches_) {
    watch->Show(StateLocked(watch->service_name()).value_or(Status::SERVICE_UNKNOWN));
  }
}

void HealthWatches::End() {
  const MutexLock lock(&mutex_);
  has_ended_ = true;
  for (const std::shared_ptr<HealthWatch>& watch : watches_) watch->End();
}

void HealthWatches::Add(const std::shared_ptr<HealthWatch>& watch) {
  const MutexLock lock(&mutex_);
  watches_.insert(watch);
  watch->Show(StateLocked(watch->service_name()).value_or(Status::SERVICE_UNKNOWN));
  if (has_ended_) watch->End();
}

void HealthWatches::Remove(const std::shared_ptr<HealthWatch>& watch) {
  const MutexLock lock(&mutex_);
  watches_.erase(watch);
}

void HealthWatch::Post(Service* service, HealthWatches* watches, CallQueue* queue) {
  if (!queue->Enter()) return;
  auto watch = std::make_shared<HealthWatch>(service, watches, queue);
  watch->self_ = watch;
  watch->context_.AsyncNotifyWhenDone(static_cast<CallEvent*>(&watch->done_event_));
  service->RequestWatch(&watch->context_, &watch->request_, &watch->writer_, queue->queue(),
                        queue->queue(), static_cast<CallEvent*>(&watch->main_event_));
}

void HealthWatch::Show(Response::ServingStatus state) {
  const MutexLock lock(&mutex_);
  state_ = state;
  Continue();
}

void HealthWatch::End() {
  const MutexLock lock(&mutex_);
  is_ending_ = true;
  Continue();
}

void HealthWatch::Continue() {
  if (is_under_way_ || has_finish_) return;
  if (is_ending_) {
    is_under_way_ = true;
    has_finish_ = true;
    writer_.Finish({grpc::StatusCode::UNAVAILABLE, "the server is stopping"},
                   static_cast<CallEvent*>(&main_event_));
  } else if (state_ != told_) {
    is_under_way_ = true;
    told_ = state_;
    Response response;
    response.set_status(*state_);
    writer_.Write(response, static_cast<CallEvent*>(&main_event_));
  }
}

void HealthWatch::OnMain(bool ok) {
  if (!arrived_) {
    // Not ok: the server shuts down and no call came. Then the done tag never comes either.
    if (!ok) return Release();
    arrived_ = true;
    Post(service_, watches_, queue_);
    watches_->Add(self_);
    return;
  }
  bool is_over = false;
  {
    const MutexLock lock(&mutex_);
    is_under_way_ = false;
    Continue();
    is_over = has_finish_ && !is_under_way_ && is_done_;
  }
  if (is_over) Release();
}

void HealthWatch::OnDone() {
  bool is_over = false;
  {
    const MutexLock lock(&mutex_);
    is_done_ = true;
    is_ending_ = true;  // the caller has gone
    Continue();
    is_over = has_finish_ && !is_under_way_;
  }
  if (is_over) Release();
}

void HealthWatch::Release() {
  const std::shared_ptr<HealthWatch> self = std::move(self_);
  watches_->Remove(self);
  queue_->Leave();
}

}  // namespace tailor
