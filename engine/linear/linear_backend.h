// SPDX-License-Identifier: Apache-2.0
// Lets any backend serve a family's linear variants too.
#pragma once

#include <memory>

#include "engine/api/backend.h"

namespace tailor {

// Loads and runs linear variants itself, on the calling thread; passes everything else to `inner`.
// Cuts are numbered over both, in the order of Load.
std::unique_ptr<Backend> WithLinearVariants(std::unique_ptr<Backend> inner);

}  // namespace tailor
