// SPDX-License-Identifier: Apache-2.0
// Keeps retries from making an overload worse: a bucket of tokens as in gRFC A6.
#pragma once

#include <algorithm>

#include "base/mutex.h"

namespace tailor::client {

// A failure costs one token, a success earns a fraction of one; retries are allowed while more than
// half of the tokens are left. In the long run retries add at most `earned_per_success` to the
// load. Thread-safe.
class RetryBudget {
 public:
  RetryBudget(double max_tokens, double earned_per_success)
      : max_tokens_(max_tokens), earned_(earned_per_success), tokens_(max_tokens) {}

  void RecordSuccess() {
    const MutexLock lock(&mutex_);
    tokens_ = std::min(max_tokens_, tokens_ + earned_);
  }

  // Records a failure; true when it may be retried.
  bool RecordFailure() {
    const MutexLock lock(&mutex_);
    tokens_ = std::max(0.0, tokens_ - 1);
    return tokens_ > max_tokens_ / 2;
  }

 private:
  const double max_tokens_;
  const double earned_;
  Mutex mutex_;
  double tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tailor::client
