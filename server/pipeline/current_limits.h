// SPDX-License-Identifier: Apache-2.0
// What a batch may hold as long as the server runs: max_tokens falls when a device's memory runs
// out.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>

#include "engine/api/batch.h"

namespace tailor {

// Copies share one state. Thread-safe.
class CurrentLimits {
 public:
  CurrentLimits() : CurrentLimits(BatchLimits()) {}
  explicit CurrentLimits(const BatchLimits& planned)
      : planned_(planned), max_tokens_(std::make_shared<std::atomic<int>>(planned.max_tokens)) {}

  BatchLimits Get() const {
    BatchLimits limits = planned_;
    limits.max_tokens = max_tokens_->load(std::memory_order_relaxed);
    return limits;
  }

  // Never below the longest sequence, which no batch could hold then, and never up again. Whether
  // it fell.
  bool LowerMaxTokens(int max_tokens) {
    max_tokens = std::max(max_tokens, planned_.max_sequence_tokens);
    int present = max_tokens_->load(std::memory_order_relaxed);
    while (max_tokens < present) {
      if (max_tokens_->compare_exchange_weak(present, max_tokens)) return true;
    }
    return false;
  }

 private:
  BatchLimits planned_;
  std::shared_ptr<std::atomic<int>> max_tokens_;
};

}  // namespace tailor
