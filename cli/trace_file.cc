// SPDX-License-Identifier: Apache-2.0
#include "cli/trace_file.h"

#include <ostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/schedule.h"

#include "base/status_macros.h"

namespace tailor {
namespace {

constexpr int kMaxDocuments = 1 << 20;

}  // namespace

TraceFile::TraceFile(std::string name, const Profile* profile, uint64_t seed)
    : name_(std::move(name)), profile_(*profile), stream_(name_), mix_(profile, {}, seed) {}

absl::StatusOr<std::unique_ptr<TraceFile>> TraceFile::Open(const std::filesystem::path& file,
                                                           const Profile* profile, uint64_t seed) {
  std::unique_ptr<TraceFile> trace(new TraceFile(file.string(), profile, seed));
  if (!trace->stream_) {
    return absl::NotFoundError(absl::StrCat("trace ", file.string(), ": cannot be read"));
  }
  return trace;
}

absl::Status TraceFile::Failed(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat("trace ", name_, ":", line_number_, ": ", what));
}

absl::StatusOr<bool> TraceFile::Next(SimulatedRequest* request) {
  while (std::getline(stream_, line_)) {
    ++line_number_;
    const absl::string_view line = absl::StripAsciiWhitespace(line_);
    if (line.empty() || line.front() == '#') continue;
    const absl::StatusOr<client::TraceLine> parsed =
        client::ParseTraceLine({line.data(), line.size()});
    if (!parsed.ok()) return Failed(parsed.status().message());
    if (first_ < 0) first_ = previous_ = parsed->offset;
    if (parsed->offset < previous_) return Failed("offsets must not decrease");
    previous_ = parsed->offset;
    const int documents = parsed->documents.value_or(profile_.documents);
    if (documents < 1 || documents > kMaxDocuments) {
      return Failed(absl::StrCat("documents: expected 1 to ", kMaxDocuments, ", got ", documents));
    }
    mix_.Fill(request);
    request->offset = FromSeconds(parsed->offset - first_);
    if (parsed->budget && *parsed->budget > Duration::zero()) request->budget = *parsed->budget;
    if (parsed->documents) request->lengths = mix_.Lengths(documents);
    return true;
  }
  if (first_ < 0) return Failed("expected at least one line SECONDS [BUDGET [DOCUMENTS]]");
  return false;
}

absl::StatusOr<bool> RecordingSource::Next(SimulatedRequest* request) {
  TAILOR_ASSIGN_OR_RETURN(const bool has_next, source_->Next(request));
  if (has_next) {
    WorkShape work;
    for (const int32_t length : request->lengths) work.Add(length);
    *out_ << absl::StrFormat("%.9f %.9f %d %d %d\n", ToSeconds(request->offset),
                             ToSeconds(request->budget), work.rows, work.tokens, work.squares);
  }
  return has_next;
}

}  // namespace tailor
