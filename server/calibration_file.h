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

struct FamilyCalibration {
  std::shared_ptr<const CascadeTable> cascades;  // null: there are none
  AgreementTable agreement;                      // what reviews are held against
};

// Empty when the folder has no such file. No cascades when it says nothing of two of these
// variants, no agreement when it does not say it or its reference is not served. Variants that are
// not served are passed over. InvalidArgument, in one line, for a file that is not what the format
// says.
absl::StatusOr<FamilyCalibration> ReadCalibration(const std::filesystem::path& family,
                                                  std::span<const ServedVariant> variants);

}  // namespace tailor
