// SPDX-License-Identifier: Apache-2.0
#include "engine/model/model_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

#include "base/status_macros.h"

namespace tailor {
namespace {

namespace fs = std::filesystem;

bool IsInside(const fs::path& path, const fs::path& root) {
  const auto [rest, unused] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return rest == root.end();
}

absl::Status SystemError(const std::string& name, absl::string_view what, int error) {
  const std::string message =
      absl::StrCat(name, ": ", what, ", got: ", std::generic_category().message(error));
  return error == ENOENT || error == ENOTDIR ? absl::NotFoundError(message)
                                             : absl::FailedPreconditionError(message);
}

// `path` without links, provided that it stays inside `root`.
absl::StatusOr<fs::path> ResolveInside(const fs::path& path, const fs::path& root,
                                       const std::string& name) {
  std::error_code error;
  fs::path resolved = fs::canonical(path, error);
  if (error) return SystemError(name, "expected a file or folder", error.value());
  if (!IsInside(resolved, root)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": expected a path inside ",
                                                   PrintablePath(root), ", got a link to ",
                                                   PrintablePath(resolved)));
  }
  return resolved;
}

}  // namespace

std::string PrintablePath(const fs::path& path) { return absl::Utf8SafeCHexEscape(path.string()); }

absl::Status CheckRelativePath(absl::string_view path) {
  bool good = !path.empty() && path.size() <= 512;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    good = good && !part.empty() && part != "." && part != "..";
  }
  for (const char c : path) good = good && static_cast<unsigned char>(c) >= 0x20 && c != '\\';
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("expected a relative path without \"..\", got \"",
                                                 absl::Utf8SafeCHexEscape(path.substr(0, 80)),
                                                 "\""));
}

InputFile::InputFile(InputFile&& other) noexcept
    : name_(std::move(other.name_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status InputFile::ReadAt(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(name_, "expected to read it", errno);
    if (count == 0) {
      return absl::DataLossError(absl::StrCat(name_, ": expected ", size_,
                                              " bytes, got an end at byte ", offset,
                                              ": it was cut while it was read"));
    }
    out = out.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelFolder> ModelFolder::Open(const fs::path& folder, const fs::path& root) {
  std::error_code error;
  fs::path real_root = fs::canonical(root, error);
  if (error) return SystemError(PrintablePath(root), "expected a folder", error.value());
  TAILOR_ASSIGN_OR_RETURN(fs::path real,
                          ResolveInside(folder, real_root, PrintablePath(folder.filename())));
  if (!fs::is_directory(real, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat(PrintablePath(folder), ": expected a folder, got a file"));
  }
  return ModelFolder(std::move(real), std::move(real_root));
}

bool ModelFolder::Has(const std::string& name) const {
  std::error_code error;
  return fs::exists(fs::symlink_status(folder_ / name, error));
}

absl::StatusOr<InputFile> ModelFolder::OpenFile(const std::string& name) const {
  TAILOR_RETURN_IF_ERROR(CheckRelativePath(name));
  TAILOR_ASSIGN_OR_RETURN(const fs::path path, ResolveInside(folder_ / name, root_, name));
  // O_NOFOLLOW: the path has no links any more, so one here was put in between. O_NONBLOCK: a
  // named pipe must not hold the loader.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return SystemError(name, "expected a readable file", errno);
  struct stat info = {};
  const bool is_known = fstat(descriptor, &info) == 0;
  InputFile file(name, descriptor, is_known ? static_cast<uint64_t>(info.st_size) : 0);
  if (!is_known || !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": expected a regular file, got something else"));
  }
  return file;
}

absl::StatusOr<std::string> ModelFolder::ReadText(const std::string& name,
                                                  uint64_t max_bytes) const {
  TAILOR_ASSIGN_OR_RETURN(const InputFile file, OpenFile(name));
  if (file.size() > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": expected at most ", max_bytes, " bytes, got ", file.size()));
  }
  std::string text(file.size(), '\0');
  TAILOR_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(text))));
  return text;
}

absl::StatusOr<nlohmann::json> ModelFolder::ReadJson(const std::string& name,
                                                     const JsonLimits& limits) const {
  TAILOR_ASSIGN_OR_RETURN(const std::string text, ReadText(name, limits.max_bytes));
  absl::StatusOr<nlohmann::json> value = ParseJson(text, limits);
  if (!value.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", value.status().message()));
  }
  return value;
}

absl::StatusOr<ModelFolder> ModelFolder::SubFolder(const std::string& name) const {
  TAILOR_RETURN_IF_ERROR(CheckRelativePath(name));
  return Open(folder_ / name, root_);
}

}  // namespace tailor
