// SPDX-License-Identifier: Apache-2.0
// The texts that the commands send: read from files, or made up from a seed.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tailor::client {

// One text a line, without the line end ("\n" or "\r\n"). An empty line is an empty text, so that
// line numbers and indices agree; the end of the last line does not start another one.
std::vector<std::string> SplitLines(std::string_view content);

// The content of a file, or of standard input for "-"; NOT_FOUND with the reason when it cannot be
// read.
absl::StatusOr<std::string> ReadInput(const std::string& path);

// ReadInput, then SplitLines.
absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path);

// English words whose lengths follow Debian's package descriptions: the number of words is
// log-normal, for documents with median 50 and 95th percentile 160 (about 60 and 193 tokens), for
// queries with median 7 and 95th percentile 13; never below 1 or above 400. The same seed gives the
// same texts.
std::vector<std::string> SyntheticDocuments(int count, uint64_t seed);
std::vector<std::string> SyntheticQueries(int count, uint64_t seed);

// What is sent in one call.
struct CallTexts {
  std::string_view query;
  std::vector<std::string_view> documents;
};

// Draws the texts of calls from pools that are not empty: a random query, and a run of documents
// from a random place, going round at the end. Not thread-safe; the views point into the pools.
class TextPool {
 public:
  TextPool(std::vector<std::string> queries, std::vector<std::string> documents, uint64_t seed);
  CallTexts Draw(int documents);

 private:
  std::vector<std::string> queries_;
  std::vector<std::string> documents_;
  std::mt19937_64 random_;
};

}  // namespace tailor::client
