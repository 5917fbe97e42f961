// SPDX-License-Identifier: Apache-2.0
// Gives a tiny variant the reference scores that the naive backend computes for it.
#pragma once

#include <filesystem>
#include <string>

namespace tailor::testing {

// Writes `family`/reference_pairs.jsonl with made-up texts, always the same.
void WriteReferencePairs(const std::filesystem::path& family, int count);

// Puts "reference" into variant.json of `family`/`id`: the scores of the pairs in the family's
// folder, each `shift` too large.
void AddReference(const std::filesystem::path& family, const std::string& id, double tolerance,
                  double shift = 0);

}  // namespace tailor::testing
