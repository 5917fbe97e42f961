// SPDX-License-Identifier: Apache-2.0
// The bounded queue, earliest deadline first: what is in it has been admitted and tokenised, and
// leaves it as rows of a batch, dead, or cancelled.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"

#include "base/clock.h"
#include "base/mutex.h"
#include "server/pipeline/backstop.h"
#include "server/pipeline/current_limits.h"
#include "server/pipeline/live_quality.h"
#include "server/pipeline/pending_request.h"
#include "server/pipeline/refinement.h"
#include "server/pipeline/selector.h"
#include "server/telemetry/recorder.h"
#include "server/telemetry/safety_window.h"

namespace tailor {

// Earlier deadline, then higher priority, then first come.
struct QueueKey {
  TimePoint deadline;
  int priority = 0;
  uint64_t sequence = 0;

  friend bool operator<(const QueueKey& a, const QueueKey& b) {
    return std::tuple(a.deadline, -a.priority, a.sequence) <
           std::tuple(b.deadline, -b.priority, b.sequence);
  }
};

struct QueueItem {
  PendingPtr pending;
  QueueEntry entry;
};
using QueueItems = std::map<QueueKey, QueueItem>;

struct QueueTotals {
  int requests = 0;
  int64_t tokens = 0;
};

// All that an admission needs to know of the load.
struct QueueLoad {
  const QueueItems& items;
  QueueTotals waiting;      // in the queue
  QueueTotals tokenizing;   // on the way to it; tokens are estimates
  double busy_seconds = 0;  // until the first worker is free, as predicted
  int num_workers = 1;
  double safety = 1;               // of a batch that would start now
  double backstop_factor = 1;      // see backstop.h
  double second_pass_seconds = 0;  // at most for a batch of a second pass
  int least_priority = 0;          // what is below it and has not begun counts as pushed out

  bool Counts(const QueueEntry& entry) const {
    return entry.priority >= least_priority || entry.waiting.rows < entry.total.rows;
  }
};

// Who had to make room for a more important request: the caller answers them.
struct PushedOut {
  std::vector<PendingPtr> requests;
  Duration retry_after{};
};

// Rows of a request in a batch.
struct TakenRows {
  PendingPtr pending;
  int first_row = 0;
  int rows = 0;
  size_t first_token = 0;
  std::vector<int32_t>
      picked;             // of a second pass: the rows; first_row and first_token mean nothing
  bool is_first = false;  // of the request's batches; the rest is set for it alone
  SelectionReason reason = SelectionReason::kFit;
  int degraded_from = -1;  // what an idle server would have taken
  Duration queue_time{};
};

struct CutBatch {
  Selection selection;
  std::vector<TakenRows> taken;
  WorkShape work;
  std::vector<PendingPtr> expired;   // past their deadline: the caller answers them
  std::vector<PendingPtr> hopeless;  // given up by the selector: the caller answers them
  std::vector<PendingPtr> complete;  // no time for a second pass: the caller answers them
  bool is_second_pass = false;
  std::optional<ReviewBatch> review;  // nobody waits for this batch; `taken` is empty
  BatchStart start = BatchStart::kBusy;
};

struct QueueOptions {
  CurrentLimits limits;
  int num_workers = 1;
  double safety = 1;  // at least; see SafetyWindow
  Duration reply_margin{};
  int max_requests = 1024;  // the bounds of the queue, which admission keeps
  int64_t max_tokens = 1 << 20;
  std::vector<int> num_outputs;           // of a row, one a variant
  const CascadeTable* cascade = nullptr;  // outlives the queue; null: no cascades
  LiveQuality* live_quality = nullptr;    // outlives the queue; null: no reviews
  bool has_backstop = true;
  VariantSet one_thread;  // those whose batches the thread that calls the engine computes alone
};

// Who cuts for a worker and runs what was cut: one thread at a time.
enum class Holder { kNobody, kWorker, kSubmitter };

// Thread-safe. Never calls an AnswerCallback: whoever takes a request out of it answers it.
class BatchQueue {
 public:
  using Judge = std::function<absl::Status(const QueueLoad&)>;

  // `selector` and `recorder` outlive it; the selector is called under the queue's lock.
  BatchQueue(const QueueOptions& options, Selector* selector, Recorder* recorder);

  // Counts a request that will be tokenised, unless `judge` refuses even with all that it might
  // push out gone. `estimate`: its work.
  absl::Status Reserve(PendingRequest* pending, const WorkShape& estimate, TimePoint now,
                       const Judge& judge);
  // Queues it unless `judge` refuses or it was cancelled meanwhile; the reservation ends either
  // way. After a refusal the request is the caller's to answer. When the load is in its way, less
  // important requests that have not begun make room if that suffices, of them the least important
  // and the largest first. Wakes nobody: ClaimOrWake does.
  absl::Status Push(const PendingPtr& pending, int cheapest, std::span<const VariantState> variants,
                    TimePoint now, const Judge& judge, PushedOut* pushed_out);

  // True when the request was taken out and is the caller's to answer. False when it has ended, or
  // is being tokenised: then Push refuses it.
  bool Cancel(const PendingPtr& pending);

  // The next batch for a free worker: drops the dead, lets the selector choose, takes the rows.
  // When nothing waits for its first pass: a batch of a second one. When nothing waits at all and
  // nothing is being tokenised: one of a review.
  CutBatch Cut(int worker, std::span<const VariantState> variants, TimePoint now);

  // The worker is free; counts the rows as done and the time as theirs. Returns the requests that
  // are complete or, with an error, those that end because of it: the caller answers them.
  std::vector<PendingPtr> Complete(int worker, const CutBatch& batch, bool ok, Duration engine_time,
                                   TimePoint now);

  // Gives the worker up, blocks until there is something to cut, and holds it again; false when the
  // queue was stopped. For the worker's own thread.
  bool WaitForWork(int worker, const Clock& clock);
  // After a Push. The caller holds the worker that is returned, may cut for it and run that batch,
  // and ends with Release: when nothing but one request is there, an idle worker, and the batch is
  // so short that waking the worker's thread would take as long. Absent otherwise; then that thread
  // was woken. A submitter gets no second passes and no reviews.
  std::optional<int> ClaimOrWake(std::span<const VariantState> variants, TimePoint now);
  // Wakes the worker's thread when something came meanwhile.
  void Release(int worker);
  // Blocks until no submitter holds a worker.
  void AwaitSubmitters();
  // Blocks until a request in its second pass has to be answered; false when the queue was stopped.
  // For one thread.
  bool WaitForDue(const Clock& clock);
  // Those requests, which are the caller's to answer; a batch of theirs may still run.
  std::vector<PendingPtr> TakeDue(TimePoint now);
  // When the selector wants to be asked again although nothing arrives; absent: not at all.
  std::optional<TimePoint> IdleUntil() const;
  // Takes everything out; the caller answers it. Nothing is cut any more, and what is pushed later
  // is refused with `refusal`; with the first, when it is stopped again.
  std::vector<PendingPtr> Stop(const absl::Status& refusal);

  // `visit` runs under the queue's lock.
  void Inspect(TimePoint now, const std::function<void(const QueueLoad&)>& visit) const;
  QueueTotals Totals() const;

 private:
  // Enough to see what a choice does to others; a longer look ahead only costs time.
  static constexpr size_t kMaxSnapshot = 128;
  // Requests between their passes; their texts are kept.
  static constexpr size_t kMaxRefinements = 64;
  // Of the usual time between two requests: how long a batch of a second pass may be.
  static constexpr double kSecondPassShare = LiveQuality::kGapShare;
  static constexpr double kGapWeight = 1.0 / 16;
  // A batch up to this length may run on the thread that submitted its request: waking another
  // takes as long.
  static constexpr double kShortSeconds = 0.2e-3;
  // After a pause of this length a batch is a cold start.
  static constexpr Duration kColdPause = std::chrono::milliseconds(5);

  // Room for `entry`, which `judge` refused with `verdict`; that again when there is none.
  absl::Status MakeRoom(const QueueEntry& entry, const absl::Status& verdict, TimePoint now,
                        const Judge& judge, PushedOut* pushed_out)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whoever comes while a batch of a second pass runs has to wait, and the more come, the shorter
  // that must be.
  double SecondPassSeconds() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return kSecondPassShare * usual_gap_;
  }
  // Who comes while a submitter runs a batch is not seen before its end: so never a long one, and
  // not even a short one when many come. By the slowest variant that could still be in time.
  bool MayRunHere(const QueueItem& item, std::span<const VariantState> variants,
                  TimePoint now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // In the order in which they would go.
  std::vector<QueueItems::iterator> LessImportant(const QueueEntry& entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // As the selector sees it.
  QueueEntry EntryOf(const PendingRequest& pending, const WorkShape& work, int cheapest) const;
  // Demand that the load did not let in.
  void TellRefused(const QueueEntry& entry, const absl::Status& verdict, TimePoint now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a batch that this worker begins now.
  BatchStart StartOf(size_t worker, TimePoint now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  QueueLoad Load(TimePoint now, int least_priority = 0) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  QueueItems::iterator Find(const PendingRequest& pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(QueueItems::iterator item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same with the backstop's factor in their ratios.
  std::span<const VariantState> Distrust(std::span<const VariantState> variants, TimePoint now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A request that will not run.
  void GiveUp(QueueItems::iterator item, TimePoint now, std::vector<PendingPtr>* given_up)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Work that joins the queue, or leaves it when negative.
  void CountWaiting(int priority, int requests, const WorkShape& work, int sign)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropExpired(TimePoint now, std::vector<PendingPtr>* expired)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The first requests by deadline, in entries_; chosen_from_ says where they came from.
  QueueSnapshot TakeSnapshot(double safety) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A request whose first batches ran later than predicted may be beyond the variant that it is
  // bound to and within reach of a cheaper one: forgets what was scored of such requests among
  // `hopeless` (indices of the snapshot), so that they can be bound anew. True when there was one.
  bool StartAgain(std::span<const int> hopeless, std::span<const VariantState> variants)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Replaces what the selector chose for a request that is alone by the first pass of a cascade, if
  // that promises more.
  void PlanCascade(const QueueSnapshot& snapshot, std::span<const VariantState> variants,
                   TimePoint now, Selection* selection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutSecondPass(std::span<const VariantState> variants, TimePoint now, CutBatch* batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutReview(std::span<const VariantState> variants, TimePoint now, double safety,
                 CutBatch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Nobody waits, and nobody is about to.
  bool MayReview() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True when the request is done.
  bool CompleteRows(const TakenRows& rows, bool is_second_pass, bool ok)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Bind(const QueueEntry& entry, const Selection& selection, const QueueSnapshot& snapshot,
            std::span<const VariantState> variants, TimePoint now, TakenRows* taken)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Take(QueueItems::iterator item, int rows, const QueueSnapshot& snapshot,
            std::span<const VariantState> variants, TimePoint now, CutBatch* batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const QueueOptions options_;
  Recorder* const recorder_;

  mutable Mutex mutex_;
  Selector* const selector_ ABSL_PT_GUARDED_BY(mutex_);
  CondVar changed_;
  CondVar due_changed_;
  // Until when WaitForDue sleeps unless it is told of something earlier.
  TimePoint due_wait_ ABSL_GUARDED_BY(mutex_) = TimePoint::max();
  QueueItems items_ ABSL_GUARDED_BY(mutex_);
  RefinementList refinements_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  TimePoint last_push_ ABSL_GUARDED_BY(mutex_);
  double usual_gap_ ABSL_GUARDED_BY(mutex_) = 1;  // seconds between pushes, a moving average
  std::array<QueueTotals, kNumPriorities> waiting_ ABSL_GUARDED_BY(mutex_);
  WorkShape waiting_work_ ABSL_GUARDED_BY(mutex_);
  QueueTotals tokenizing_ ABSL_GUARDED_BY(mutex_);
  std::vector<TimePoint> busy_until_ ABSL_GUARDED_BY(mutex_);
  std::vector<TimePoint> free_since_ ABSL_GUARDED_BY(mutex_);
  std::vector<Holder> holders_ ABSL_GUARDED_BY(mutex_);
  SafetyWindow safety_ ABSL_GUARDED_BY(mutex_);
  Backstop backstop_ ABSL_GUARDED_BY(mutex_);
  std::vector<VariantState> distrusted_ ABSL_GUARDED_BY(mutex_);  // while it acts; reused
  std::vector<QueueEntry> entries_ ABSL_GUARDED_BY(mutex_);       // of the last snapshot; reused
  std::vector<QueueItems::iterator> chosen_from_ ABSL_GUARDED_BY(mutex_);
  std::optional<TimePoint> idle_until_ ABSL_GUARDED_BY(mutex_);
  TimePoint review_at_ ABSL_GUARDED_BY(mutex_);  // not before, unless something arrives
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status stop_refusal_ ABSL_GUARDED_BY(mutex_);  // of what comes after Stop
};

}  // namespace tailor
