// SPDX-License-Identifier: Apache-2.0
// Holds what a backend computes against the scores that a variant brings along, so that a damaged
// file, a wrong kernel or an unsuitable host shows before anything is served.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/api/backend.h"
#include "engine/model/model_package.h"
#include "server/text/tokenizer.h"

namespace tailor {

// Pairs that the server scores for each variant when it starts: a few milliseconds each.
inline constexpr int kStartPairs = 8;

struct ReferenceCheck {
  int pairs = 0;              // compared; longer ones than the backend takes are left out
  double max_difference = 0;  // of raw scores
  int worst_line = 0;         // of the inputs file, from 1: the pair that differs most
  double tolerance = 0;

  bool passed() const { return max_difference <= tolerance; }
};

// InvalidArgument "reference: expected ..., got ..." unless the check passed.
absl::Status ToStatus(const ReferenceCheck& check);

// Not thread-safe: keeps the texts that variants of one family share.
class ReferenceChecker {
 public:
  // family: the folder that has the inputs file.
  explicit ReferenceChecker(std::filesystem::path family) : family_(std::move(family)) {}

  // Runs at most max_pairs of the variant's pairs, evenly spread over the file, through `backend`.
  // `package` has reference scores. Errors name the file and line, or what the backend said.
  absl::StatusOr<ReferenceCheck> Run(const ModelPackage& package, const Tokenizer& tokenizer,
                                     int max_pairs, const LoadedCut& loaded, Backend& backend);

 private:
  struct Pair {
    std::string query, document;
  };
  struct Inputs {
    std::string sha256;
    std::vector<Pair> pairs;
  };

  absl::StatusOr<Inputs> Read(const std::string& name) const;
  absl::StatusOr<const std::vector<Pair>*> Find(const ReferenceScores& reference);

  const std::filesystem::path family_;
  std::map<std::string, Inputs> inputs_;  // by file name
};

// The tokenizer that every variant of a family shares.
absl::StatusOr<Tokenizer> MakeTokenizer(const TokenizerSpec& spec);

}  // namespace tailor
