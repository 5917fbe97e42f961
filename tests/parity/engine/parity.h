// SPDX-License-Identifier: Apache-2.0
// Running backends and comparing what they return.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/api/backend.h"

namespace tailor::testing {

// Limits that every parity test fits.
constexpr BatchLimits kParityLimits = {
    .max_tokens = 4096, .max_sequences = 128, .max_sequence_tokens = 512};

// The instruction set that TAILOR_PARITY_ISA names; "auto" without it.
std::string ParityIsa();

// Backends that must come up; `threads` of the CPU engine, with ParityIsa().
std::unique_ptr<Backend> Cpu(int threads);
std::unique_ptr<Backend> Reference();

// Both fail the test when the backend refuses.
LoadedCut LoadInto(Backend& backend, const ModelPackage& package);
std::vector<float> Outputs(Backend& backend, const LoadedCut& cut, const Batch& batch);

// Prints the worst element and fails when it is above `bound` or not finite.
void ExpectNear(const std::vector<float>& actual, const std::vector<float>& expected, double bound,
                const std::string& what);

}  // namespace tailor::testing
