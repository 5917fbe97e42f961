// SPDX-License-Identifier: Apache-2.0
// The family's calibration.json (docs/bundle.md): how scores of its variants compare, and what
// cascades are worth.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "absl/status/statusor.h"

#include "server/pipeline/cascade.h"
#include "server/pipeline/ranker.h"

namespace tailor {

inline constexpr char kCalibrationFile[] = "calibration.json";

// Null when the folder has no such file, or it says nothing of two of these variants: then there
// are no cascades. Variants that are not served are passed over. InvalidArgument, in one line, for
// a file that is not what the format says.
absl::StatusOr<std::shared_ptr<const CascadeTable>> ReadCalibration(
    const std::filesystem::path& family, std::span<const ServedVariant> variants);

}  // namespace tailor
