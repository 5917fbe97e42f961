// SPDX-License-Identifier: Apache-2.0
// A family of two tiny variants, the better one also the slower one.
#pragma once

#include <filesystem>

namespace tailor::testing {

// "small" of quality 0.6 and "large" of quality 0.8; 0 labels make embedding variants.
void WriteTinyFamily(const std::filesystem::path& folder, int num_labels = 1);

}  // namespace tailor::testing
