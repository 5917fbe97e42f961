// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/queue_ticket.h"

#include "server/pipeline/refusal.h"

namespace tailor {

void QueueTicket::Cancel() {
  const std::shared_ptr<BatchQueue> queue = queue_.lock();
  if (queue == nullptr || !queue->Cancel(pending_)) return;
  recorder_->RecordCancelled(PipelinePoint::kDequeue);
  pending_->Finish(MakeRefusal({.refusal = Refusal::kCancelled}, "the caller has gone"));
}

}  // namespace tailor
