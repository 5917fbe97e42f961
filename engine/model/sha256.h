// SPDX-License-Identifier: Apache-2.0
// Checksums of model files.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "engine/model/model_folder.h"

namespace tailor {

// 64 lower-case hexadecimal digits.
std::string Sha256Hex(absl::string_view bytes);
absl::StatusOr<std::string> Sha256Hex(const InputFile& file);

}  // namespace tailor
