// SPDX-License-Identifier: Apache-2.0
// Sends the calls of a load run and records how each went.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "client/load_statistics.h"
#include "client/schedule.h"
#include "client/texts.h"

#include "base/clock.h"

namespace tailor::client {

struct LoadTarget {
  std::string server = "127.0.0.1:50051";
  // A server allows only so many calls on one connection (Tailor: 256); calls take turns.
  int connections = 4;
  // Open loop: a planned call that would be one more is not sent and counts as failed, so that the
  // generator neither waits (which would hide the latency) nor grows without bound.
  int max_in_flight = 1000;
  // How long after its budget a call is given up; late answers in between count as missed.
  Duration deadline_slack = std::chrono::seconds(2);
  CallOptions options;  // the budget comes from the mix
};

struct LoadProgress {
  int64_t sent = 0;
  int64_t answered = 0;
  int64_t refused = 0;
  int64_t failed = 0;
  int64_t in_flight = 0;
};

// One run each. Two threads: the caller's sends (closed loop: only the first calls), the
// generator's own receives.
class LoadGenerator {
 public:
  LoadGenerator(LoadTarget target, std::vector<BudgetShare> budgets, TextPool texts);
  ~LoadGenerator();
  LoadGenerator(const LoadGenerator&) = delete;
  LoadGenerator& operator=(const LoadGenerator&) = delete;

  // UNAVAILABLE when not every connection stands after `timeout`.
  absl::Status Connect(Duration timeout);

  // Sends each call at its offset, without regard to answers. Returns when all have ended.
  std::vector<CallRecord> RunOpenLoop(const std::vector<PlannedCall>& calls);

  // Keeps `concurrency` calls of `documents` documents under way for `duration`; budgets are
  // drawn by their shares. Returns when the last calls have ended; early when 1000 calls in a row
  // have failed.
  std::vector<CallRecord> RunClosedLoop(int concurrency, int documents, Duration duration,
                                        uint64_t seed);

  // Safe to call from any thread during a run.
  LoadProgress Progress() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace tailor::client
