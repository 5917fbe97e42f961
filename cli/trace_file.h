// SPDX-License-Identifier: Apache-2.0
// A recorded trace as a simulation's requests, read line by line.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "server/simulator/profile.h"
#include "server/simulator/request_mix.h"
#include "server/simulator/request_source.h"

namespace tailor {

// Lines SECONDS [BUDGET [DOCUMENTS]] as `tailor load --trace` takes them; see client/schedule.h.
// Missing budgets and document counts are the profile's usual ones, as are the lengths.
class TraceFile final : public RequestSource {
 public:
  // NotFound when the file cannot be opened. `profile` outlives the source.
  static absl::StatusOr<std::unique_ptr<TraceFile>> Open(const std::filesystem::path& file,
                                                         const Profile* profile, uint64_t seed);

  // DataLoss "trace FILE:LINE: .." for a line that is none.
  absl::StatusOr<bool> Next(SimulatedRequest* request) override;

 private:
  TraceFile(std::string name, const Profile* profile, uint64_t seed);
  absl::Status Failed(absl::string_view what) const;

  const std::string name_;
  const Profile& profile_;
  std::ifstream stream_;
  RequestMix mix_;
  std::string line_;
  int64_t line_number_ = 0;
  double first_ = -1;
  double previous_ = 0;
};

// Copies what `source` gives to `out`, a line "SECONDS BUDGET_SECONDS DOCUMENTS TOKENS SQUARES"
// each: what the clairvoyant bound is computed from. Both outlive it.
class RecordingSource final : public RequestSource {
 public:
  RecordingSource(RequestSource* source, std::ostream* out) : source_(source), out_(out) {}
  absl::StatusOr<bool> Next(SimulatedRequest* request) override;

 private:
  RequestSource* const source_;
  std::ostream* const out_;
};

}  // namespace tailor
