// SPDX-License-Identifier: Apache-2.0
// Reviews: a sample of the Rank answers is scored again by the best variant in time that nobody
// needs, to learn how far the orders of the variants agree with its own on live traffic.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"

#include "base/mutex.h"
#include "server/pipeline/current_limits.h"
#include "server/pipeline/pending_request.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/selector.h"
#include "server/telemetry/recorder.h"

namespace tailor {

// An answer that is to be scored again. Its texts are gone: only tokens are kept.
struct Review {
  int variant = -1;            // whose order it is
  int best = -1;               // scores it again; -1: not begun
  bool by_logit = false;       // as in Request
  EncodedRequest encoded;      // [rows]
  std::vector<int32_t> order;  // [rows] by `variant`
  std::vector<float> outputs;  // [rows, outputs] of `best`; of the first rows_done
  int rows_done = 0;
  size_t tokens_done = 0;
};

// The next rows of a review, for one batch.
struct ReviewBatch {
  std::shared_ptr<const Review> review;
  int rows = 0;
  WorkShape work;
  double seconds = 0;  // as predicted
};

// What a batch may take of a worker that has nothing else to do.
struct ReviewSlot {
  double gap = 0;  // seconds between requests, usual or since the last one
  double safety = 1;
};

// Either a batch, or the gap that the next row waits for (0: there is nothing to do).
struct ReviewCut {
  std::optional<ReviewBatch> batch;
  double needed_gap = 0;
};

// Thread-safe. At most one batch is under way at a time. Calls nothing that waits.
class LiveQuality {
 public:
  // What it may keep: of more requests none is taken, of more documents every n-th.
  static constexpr size_t kMaxReviews = 16;
  static constexpr size_t kMaxRows = 64;
  // How long a batch may be: whoever comes while it runs waits for it. Of the gap, as for second
  // passes, and of the budgets that were short of late.
  static constexpr double kGapShare = 0.1;
  static constexpr double kBudgetShare = 0.2;

  // `served` and `recorder` outlive it.
  LiveQuality(const LiveQualityOptions& options, const CurrentLimits& limits,
              std::span<const ServedVariant> served, Recorder* recorder);

  // A request was queued that had this many seconds when it came.
  void OnArrival(double budget);

  // Whether this answered request belongs to the sample; the same ones for the same seed.
  bool IsSampled(const PendingRequest& pending) const;
  // Keeps its documents, with the [texts] order that its variant gave them.
  void Keep(const PendingRequest& pending, std::span<const int32_t> order);

  // True when Cut may have something.
  bool HasWork() const;
  // Reviews whose next row could not be in any batch, or that no better variant can judge, are
  // dropped. The batch is ended by Complete.
  ReviewCut Cut(const ReviewSlot& slot, std::span<const VariantState> variants);
  // `outputs`: [rows, outputs] raw. Records the agreement once all rows are done; a failure drops
  // the review.
  void Complete(const ReviewBatch& batch, std::span<const float> outputs, bool ok);

 private:
  // The one that can judge the review: the reference of the expectations, the family's best when
  // they were measured, else the available one of the highest evaluated quality. -1: none, or the
  // one whose order it is.
  int BestFor(const Review& review, std::span<const VariantState> variants) const;
  // Rows from the first that is left on, within the limits and `most_seconds`.
  ReviewBatch Fill(const std::shared_ptr<Review>& review, const CostCoefficients& cost,
                   double most_seconds) const;
  void Record(const Review& review) const;

  const LiveQualityOptions options_;
  const CurrentLimits limits_;
  const std::span<const ServedVariant> served_;
  const VariantSet rankers_;  // those that can answer a Rank call
  Recorder* const recorder_;

  mutable Mutex mutex_;
  std::deque<std::shared_ptr<Review>> reviews_ ABSL_GUARDED_BY(mutex_);  // the first is under way
  bool is_running_ ABSL_GUARDED_BY(mutex_) = false;
  double short_budget_ ABSL_GUARDED_BY(mutex_) = 0;  // seconds; 0: none yet
};

}  // namespace tailor
