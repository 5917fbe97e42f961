// SPDX-License-Identifier: Apache-2.0
#include "client/texts.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status_macros.h"

namespace tailor::client {
namespace {

// Common in package descriptions, so that nearly each is one token of a trained vocabulary.
constexpr std::array<std::string_view, 64> kWords = {
    "a",       "access",      "and",       "application", "audio",    "based",    "build",
    "can",     "code",        "command",   "common",      "contains", "data",     "debian",
    "desktop", "development", "display",   "document",    "editor",   "engine",   "fast",
    "file",    "files",       "for",       "format",      "from",     "game",     "graphical",
    "image",   "in",          "interface", "is",          "it",       "language", "library",
    "line",    "linux",       "manager",   "module",      "network",  "of",       "on",
    "package", "programming", "protocol",  "provides",    "python",   "search",   "server",
    "simple",  "software",    "source",    "support",     "system",   "text",     "the",
    "this",    "to",          "tool",      "tools",       "use",      "user",     "web",
    "with"};

constexpr double kMaxWords = 400;

// sigma of a log-normal from its median and 95th percentile, 1.645 standard deviations away.
double SigmaOf(double median, double p95) { return std::log(p95 / median) / 1.645; }

std::vector<std::string> Synthetic(int count, uint64_t seed, double median, double p95) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> length(std::log(median), SigmaOf(median, p95));
  std::uniform_int_distribution<size_t> word(0, kWords.size() - 1);
  std::vector<std::string> texts(static_cast<size_t>(count));
  for (std::string& text : texts) {
    const double words = std::clamp(std::round(length(random)), 1.0, kMaxWords);
    for (int i = 0; i < static_cast<int>(words); ++i) {
      if (i > 0) text += ' ';
      text += kWords[word(random)];
    }
  }
  return texts;
}

}  // namespace

std::vector<std::string> SplitLines(std::string_view content) {
  std::vector<std::string> lines;
  while (!content.empty()) {
    const size_t end = content.find('\n');
    std::string_view line = content.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
  }
  return lines;
}

absl::StatusOr<std::string> ReadInput(const std::string& path) {
  const auto failed = [&path] {
    return absl::NotFoundError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  };
  // C streams: a C++ stream throws when it reads a directory.
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      path == "-" ? stdin : std::fopen(path.c_str(), "rb"),
      [](std::FILE* f) { return f == stdin ? 0 : std::fclose(f); });
  if (file == nullptr) return failed();
  std::string content;
  std::array<char, 65536> block;
  while (const size_t size = std::fread(block.data(), 1, block.size(), file.get())) {
    content.append(block.data(), size);
  }
  if (std::ferror(file.get()) != 0) return failed();
  return content;
}

absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path) {
  TAILOR_ASSIGN_OR_RETURN(const std::string content, ReadInput(path));
  return SplitLines(content);
}

std::vector<std::string> SyntheticDocuments(int count, uint64_t seed) {
  return Synthetic(count, seed, 50, 160);
}

std::vector<std::string> SyntheticQueries(int count, uint64_t seed) {
  return Synthetic(count, seed, 7, 13);
}

TextPool::TextPool(std::vector<std::string> queries, std::vector<std::string> documents,
                   uint64_t seed)
    : queries_(std::move(queries)), documents_(std::move(documents)), random_(seed) {
  TAILOR_CHECK(!queries_.empty() && !documents_.empty());
}

CallTexts TextPool::Draw(int documents) {
  CallTexts texts;
  texts.query = queries_[std::uniform_int_distribution<size_t>(0, queries_.size() - 1)(random_)];
  size_t next = std::uniform_int_distribution<size_t>(0, documents_.size() - 1)(random_);
  texts.documents.reserve(static_cast<size_t>(std::max(documents, 0)));
  for (int i = 0; i < documents; ++i) {
    texts.documents.push_back(documents_[next]);
    if (++next == documents_.size()) next = 0;
  }
  return texts;
}

}  // namespace tailor::client
