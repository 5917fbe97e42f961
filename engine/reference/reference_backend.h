// SPDX-License-Identifier: Apache-2.0
// The arbiter of every test: BERT as the papers write it, one loop a formula, nothing fused. Sums
// are taken in double, so that its own rounding never decides a comparison.
#pragma once

#include <memory>

#include "engine/api/backend.h"

namespace tailor {

// Runs every format on every host, and so defines what each means (docs/numerics.md): for kBf16,
// inputs and weights of the encoder's products are rounded to bf16 first; for kF16 the weights to
// f16; for kInt8 both to 8-bit codes, whose products are summed as integers.
// Single-threaded and slow; allocates on every Run.
std::unique_ptr<Backend> CreateReferenceBackend(const BatchLimits& limits);

}  // namespace tailor
