// SPDX-License-Identifier: Apache-2.0
// The last choices of the selector, for people.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"

#include "base/mutex.h"
#include "server/pipeline/status_report.h"

namespace tailor {

// Thread-safe.
class DecisionLog {
 public:
  static constexpr size_t kCapacity = 50;

  // Returns the name by which SetActual finds it.
  uint64_t Add(const DecisionRecord& record);
  // Does nothing when it has been pushed out meanwhile.
  void SetActual(uint64_t name, Duration actual, std::string_view split);

  std::vector<DecisionRecord> Newest() const;

 private:
  mutable Mutex mutex_;
  std::deque<DecisionRecord> records_ ABSL_GUARDED_BY(mutex_);  // oldest first
  uint64_t next_name_ ABSL_GUARDED_BY(mutex_) = 0;              // of the next record
};

}  // namespace tailor
