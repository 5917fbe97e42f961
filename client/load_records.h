// SPDX-License-Identifier: Apache-2.0
// Every call of a load run as a file, for figures that the summary does not have.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/load_statistics.h"

namespace tailor::client {

// One line of JSON a call, warm-up included, in the order of the intended sends: at_s (intended
// send time from the start of the run), outcome (met, missed, refused or failed), reason (of the
// refusal or failure, or of the choice), budget_ms (null: the server's default), documents,
// latency_ms (from the intended send time); of an answer also variant, quality, tokens, queue_ms,
// compute_ms, and arrival to reply as the server predicted (predicted_ms) and measured it
// (total_ms).
std::string RecordLines(const std::vector<CallRecord>& records, const RunInfo& run);

// NotFound when the file cannot be written.
absl::Status WriteRecords(const std::string& path, const std::vector<CallRecord>& records,
                          const RunInfo& run);

}  // namespace tailor::client
