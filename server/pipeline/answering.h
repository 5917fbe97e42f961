// SPDX-License-Identifier: Apache-2.0
// How a request that has scores gets its answer. All functions are thread-safe; a request is
// answered by the thread that took it out of the queue.
#pragma once

#include "server/pipeline/pending_request.h"
#include "server/pipeline/pipeline_parts.h"

namespace tailor {

// A request's answer: its order by score, its part of the numbers. `variant` scored all documents,
// `cascade` (may be null) merges what a second one did.
Answer CompleteAnswer(PendingRequest* pending, const ServedVariant& variant,
                      const CascadeTable* cascade = nullptr);

// With what was scored, unless the deadline has passed.
void AnswerOne(const PipelineParts& parts, const PendingPtr& pending);

// Requests in their second pass whose time has come, with what was scored until now; how many.
int AnswerDue(const PipelineParts& parts);

}  // namespace tailor
