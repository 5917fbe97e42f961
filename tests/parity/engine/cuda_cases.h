// SPDX-License-Identifier: Apache-2.0
// What the GPU engine is held to, on a GPU and on the host's stand-in for one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/api/backend.h"

namespace tailor::testing {

using MakeEngine = std::function<std::unique_ptr<Backend>()>;

// One model of ParityConfigs() in the formats f32, f16 and bf16 against the reference, in the
// batches of ParityBatches() with at most `max_tokens` tokens. Tolerances: docs/numerics.md.
void ExpectCudaParity(const std::string& config, const MakeEngine& make, int max_tokens);

// A sequence gets the same outputs alone, in another order, and among others.
void ExpectCudaBatchIndependence(const std::string& config, const MakeEngine& make);

}  // namespace tailor::testing
