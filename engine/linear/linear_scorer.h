// SPDX-License-Identifier: Apache-2.0
// Scores pairs with a linear variant. The features and their order are those of
// compress/src/tailor_compress/linear/features.py, which is the reference; sums are f64.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/linear_model.h"

namespace tailor {

// Owns its weights and its working memory; not thread-safe.
class LinearScorer {
 public:
  // The views of `model` are copied. Sequences are at most `max_tokens` long.
  LinearScorer(const LinearModel& model, int max_tokens);

  // ids, types: [tokens], 1 to max_tokens; ids inside the vocabulary. Allocates nothing.
  float Score(std::span<const int32_t> ids, std::span<const int32_t> types);

  size_t bytes() const;  // weights and working memory

 private:
  // What is known of a token during one Score; zero between two of them.
  struct TokenUse {
    int32_t count = 0;    // in the document
    int32_t first = 0;    // position in the document, when count > 0
    int32_t queried = 0;  // 1: the query has it
  };
  // Sums over the query's distinct tokens.
  struct Matches;

  using Tokens = std::span<const int32_t>;
  using DenseValues = std::array<double, kDenseFeatures>;

  void MarkDocument(Tokens document);
  void MarkQuery(Tokens query);
  void Unmark(Tokens query, Tokens document);
  Matches Match(double length) const;
  bool StandsInDocument(Tokens run, Tokens document) const;
  DenseValues Dense(Tokens query, Tokens document, const Matches& matches) const;
  double Hashed(double query_weight, double document_length);
  double HashedRow(uint32_t token);

  const LinearSpec spec_;
  std::vector<double> dense_;    // [kDenseFeatures]
  std::vector<float> hashed_;    // [2^bits]
  std::vector<float> idf_;       // [vocabulary]
  std::vector<TokenUse> use_;    // [vocabulary]
  std::vector<int32_t> next_;    // [position] the next one of the same token, -1 after the last
  std::vector<int32_t> query_;   // distinct tokens of the query
  std::vector<uint32_t> terms_;  // of distinct tokens of the document: their part of the hash,
  std::vector<float> weights_;   //   their idf,
  std::vector<uint32_t> found_;  //   their buckets of one row
};

}  // namespace tailor
