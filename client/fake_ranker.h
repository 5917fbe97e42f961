// SPDX-License-Identifier: Apache-2.0
// A Ranker server for tests: in this process, on a free loopback port, answering as told.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tailor::client {

// A call as the server saw it.
struct SeenCall {
  std::string query;
  std::vector<std::string> documents;  // of Score: first and second texts in turn
  int64_t budget_us = 0;
  int priority = 0;
  std::string variant;
  double min_quality = 0;
  int top_n = 0;
  int scale = 0;
  int cascade = 0;
  double deadline_in_s = 0;  // very large: the call has none
};

// What to answer: documents in reverse order with their number as the score, or an error.
struct ToldAnswer {
  int code = 0;  // gRPC status code; 0: OK
  std::string message;
  std::string reason;  // empty: no error details
  std::optional<int64_t> smallest_feasible_budget_us;
  std::optional<int64_t> retry_after_ms;
  std::string raw_details;  // sent in place of well-formed details
  std::string variant = "small";
  std::vector<std::string> scored_by;  // of each document: the answer is that of a cascade
};

// `behave` is called from the server's threads.
class FakeRanker {
 public:
  explicit FakeRanker(std::function<ToldAnswer(const SeenCall&)> behave);
  ~FakeRanker();
  std::string address() const;
  std::vector<SeenCall> calls() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace tailor::client
