// SPDX-License-Identifier: Apache-2.0
// Tickets of requests: one that takes a queued request out, one of a request that has its answer.
#pragma once

#include <memory>
#include <utility>

#include "server/pipeline/batch_queue.h"
#include "server/pipeline/pending_request.h"
#include "server/pipeline/ranker.h"
#include "server/telemetry/recorder.h"

namespace tailor {

// Holds the queue weakly: a ticket may outlive the pipeline. Thread-safe.
class QueueTicket final : public Ticket {
 public:
  QueueTicket(std::weak_ptr<BatchQueue> queue, PendingPtr pending, Recorder* recorder)
      : queue_(std::move(queue)), pending_(std::move(pending)), recorder_(recorder) {}

  void Cancel() override;

 private:
  const std::weak_ptr<BatchQueue> queue_;
  const PendingPtr pending_;
  Recorder* const recorder_;
};

// Of a request that was answered at once.
class NoTicket final : public Ticket {
 public:
  void Cancel() override {}
};

}  // namespace tailor
