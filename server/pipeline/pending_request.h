// SPDX-License-Identifier: Apache-2.0
// A request on its way through the pipeline.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.h"
#include "server/pipeline/request.h"
#include "server/pipeline/request_encoding.h"
#include "server/pipeline/selector.h"

namespace tailor {

// The second pass of a cascade, [queue]. Rows of `scores` belong to the batch that runs them, also
// while another thread answers the request: that reads the rows of order[0 .. done) alone.
struct Refinement {
  int variant = -1;                  // -1: none is planned
  std::vector<int32_t> order;        // rows, best first by the first pass
  std::vector<size_t> first_tokens;  // [texts] of each row in the encoded ids
  std::vector<float> scores;         // [texts] raw; of order[0 .. done)
  int done = 0;
};

// Shared by the queue, the batches that hold its rows, and its ticket. Until it is pushed it
// belongs to the thread that tokenises it; after that the fields marked [queue] are guarded by the
// queue's lock, and the rest does not change except for the rows of `answer.outputs` that a running
// batch owns.
struct PendingRequest {
  enum class Place { kTokenizing, kQueued, kEnded };

  Request request;
  VariantSet admissible;
  int64_t reserved_tokens = 0;  // what the queue's bounds count until it is pushed
  VariantSet any_quality;       // admissible without the minimum quality
  int max_tokens = 0;           // longest sequence of all that are admissible
  TimePoint pushed;             // tokenised and queued
  EncodedRequest encoded;

  Place place = Place::kTokenizing;       // [queue]
  std::atomic<bool> is_cancelled{false};  // while it is tokenised
  uint64_t sequence = 0;                  // [queue] order of arrival, breaks ties
  int rows_taken = 0;                     // [queue]
  size_t tokens_taken = 0;                // [queue]
  int rows_done = 0;                      // [queue]
  int variant = -1;                       // [queue] once the first row was taken
  Refinement refinement;
  Answer answer;

  // Gives the answer and drops the callback, with all that it holds. Whoever moved `place` to
  // kEnded calls this, without a lock: exactly once.
  void Finish(absl::StatusOr<Answer> result) {
    TAILOR_CHECK(done != nullptr);
    const AnswerCallback callback = std::exchange(done, nullptr);
    callback(std::move(result));
  }
  AnswerCallback done;
};

using PendingPtr = std::shared_ptr<PendingRequest>;

}  // namespace tailor
