// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/decision_log.h"

namespace tailor {

uint64_t DecisionLog::Add(const DecisionRecord& record) {
  const MutexLock lock(&mutex_);
  if (records_.size() == kCapacity) records_.pop_front();
  records_.push_back(record);
  return next_name_++;
}

void DecisionLog::SetActual(uint64_t name, Duration actual, std::string_view split) {
  const MutexLock lock(&mutex_);
  const uint64_t age = next_name_ - name;  // 1: the newest
  if (age > records_.size()) return;
  DecisionRecord& record = records_[records_.size() - age];
  record.actual = actual;
  record.split = split;
}

std::vector<DecisionRecord> DecisionLog::Newest() const {
  const MutexLock lock(&mutex_);
  return {records_.rbegin(), records_.rend()};
}

}  // namespace tailor
