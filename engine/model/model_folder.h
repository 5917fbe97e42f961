// SPDX-License-Identifier: Apache-2.0
// Access to the files of one model folder that cannot be led out of the family by "..", by links
// or by special files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "engine/model/json_text.h"

namespace tailor {

// An open regular file. Movable; closes itself.
class InputFile {
 public:
  InputFile(std::string name, int descriptor, uint64_t size)
      : name_(std::move(name)), descriptor_(descriptor), size_(size) {}
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  ~InputFile();

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }  // when it was opened

  // Fills `out` from `offset`; DataLoss when the file has become shorter than that.
  absl::Status ReadAt(uint64_t offset, std::span<std::byte> out) const;

 private:
  std::string name_;
  int descriptor_;
  uint64_t size_;
};

class ModelFolder {
 public:
  // `folder` is inside `root` (or is it); NotFound or InvalidArgument otherwise.
  static absl::StatusOr<ModelFolder> Open(const std::filesystem::path& folder,
                                          const std::filesystem::path& root);

  const std::filesystem::path& path() const { return folder_; }

  // A dangling link counts, so that opening it reports the problem.
  bool Has(const std::string& name) const;

  // `name` is relative, without "..". Errors start with the name.
  absl::StatusOr<InputFile> OpenFile(const std::string& name) const;
  absl::StatusOr<std::string> ReadText(const std::string& name, uint64_t max_bytes) const;
  absl::StatusOr<nlohmann::json> ReadJson(const std::string& name, const JsonLimits& limits) const;
  absl::StatusOr<ModelFolder> SubFolder(const std::string& name) const;

 private:
  ModelFolder(std::filesystem::path folder, std::filesystem::path root)
      : folder_(std::move(folder)), root_(std::move(root)) {}

  std::filesystem::path folder_;  // canonical
  std::filesystem::path root_;    // canonical
};

// InvalidArgument unless `path` is relative, printable and without empty, "." or ".." parts.
absl::Status CheckRelativePath(absl::string_view path);

// For messages: one line whatever the file system says.
std::string PrintablePath(const std::filesystem::path& path);

}  // namespace tailor
