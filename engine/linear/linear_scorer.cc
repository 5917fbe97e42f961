// SPDX-License-Identifier: Apache-2.0
#include "engine/linear/linear_scorer.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tailor {
namespace {

// BM25's k1 and b, the decay of `early`, and the idf of the token that stands for any query.
constexpr double kSaturation = 1.2;
constexpr double kLengthShare = 0.75;
constexpr double kEarly = 16;
constexpr double kAnyIdf = 4;
constexpr uint32_t kAnyToken = 0;

double Ratio(double above, double below) { return below > 0 ? above / below : 0; }

}  // namespace

struct LinearScorer::Matches {
  double total = 0;  // idf of all
  double hits = 0;
  double found = 0;  // idf of those found
  double squares = 0;
  double found_squares = 0;
  double best_found = 0;
  double best_missing = 0;
  double bm25 = 0;
  double early = 0;
};

LinearScorer::LinearScorer(const LinearModel& model, int max_tokens)
    : spec_(model.spec),
      hashed_(ToF32(model.hashed)),
      idf_(ToF32(model.idf)),
      use_(idf_.size()),
      next_(max_tokens) {
  const std::vector<float> dense = ToF32(model.dense);
  TAILOR_CHECK(dense.size() == kDenseFeatures && hashed_.size() == size_t{1} << spec_.bits);
  dense_.assign(dense.begin(), dense.end());
  query_.reserve(max_tokens);
  terms_.reserve(max_tokens);
  weights_.reserve(max_tokens);
  found_.resize(max_tokens);
}

size_t LinearScorer::bytes() const {
  return dense_.size() * sizeof(double) + (hashed_.size() + idf_.size()) * sizeof(float) +
         use_.size() * sizeof(TokenUse) + 5 * next_.size() * sizeof(int32_t);
}

float LinearScorer::Score(std::span<const int32_t> ids, std::span<const int32_t> types) {
  const auto second = std::find_if(types.begin(), types.end(), [](int32_t t) { return t != 0; });
  const auto first = static_cast<size_t>(second - types.begin());
  // Without the first token of the pair and the last one of each segment.
  const Tokens query = first > 2 ? ids.subspan(1, first - 2) : Tokens();
  const Tokens document = ids.subspan(first, std::max(ids.size() - first, size_t{1}) - 1);
  MarkDocument(document);
  MarkQuery(query);
  const auto length = static_cast<double>(document.size());
  const Matches matches = Match(length);
  const DenseValues values = Dense(query, document, matches);
  double score = Hashed(matches.total, length);
  for (size_t i = 0; i < values.size(); ++i) score += dense_[i] * values[i];
  Unmark(query, document);
  return static_cast<float>(score);
}

void LinearScorer::MarkDocument(Tokens document) {
  terms_.clear();
  weights_.clear();
  // From the end, so that `first` ends as the first position.
  for (int32_t i = static_cast<int32_t>(document.size()) - 1; i >= 0; --i) {
    TokenUse& use = use_[document[i]];
    next_[i] = use.count == 0 ? -1 : use.first;
    if (use.count == 0) {
      terms_.push_back(static_cast<uint32_t>(document[i]) * 0x85EBCA77U);
      weights_.push_back(idf_[document[i]]);
    }
    use.first = i;
    ++use.count;
  }
}

void LinearScorer::MarkQuery(Tokens query) {
  query_.clear();
  for (const int32_t token : query) {
    if (use_[token].queried != 0) continue;
    use_[token].queried = 1;
    query_.push_back(token);
  }
}

void LinearScorer::Unmark(Tokens query, Tokens document) {
  for (const int32_t token : query) use_[token] = {};
  for (const int32_t token : document) use_[token] = {};
}

LinearScorer::Matches LinearScorer::Match(double length) const {
  const double norm =
      kSaturation * (1 - kLengthShare + kLengthShare * length / spec_.average_length);
  Matches sums;
  for (const int32_t token : query_) {
    const double idf = idf_[token];
    const TokenUse& use = use_[token];
    sums.total += idf;
    sums.squares += idf * idf;
    if (use.count == 0) {
      sums.best_missing = std::max(sums.best_missing, idf);
      continue;
    }
    sums.hits += 1;
    sums.found += idf;
    sums.found_squares += idf * idf;
    sums.best_found = std::max(sums.best_found, idf);
    sums.bm25 += idf * ((kSaturation + 1) * use.count / (use.count + norm));
    sums.early += idf / (1 + use.first / kEarly);
  }
  return sums;
}

// Whether the tokens of `run` stand side by side somewhere.
bool LinearScorer::StandsInDocument(Tokens run, Tokens document) const {
  const TokenUse& use = use_[run[0]];
  if (use.count == 0) return false;
  for (int32_t i = use.first; i >= 0; i = next_[i]) {
    if (i + run.size() <= document.size() &&
        std::equal(run.begin(), run.end(), document.begin() + i)) {
      return true;
    }
  }
  return false;
}

LinearScorer::DenseValues LinearScorer::Dense(Tokens query, Tokens document,
                                              const Matches& matches) const {
  double bigrams = 0;
  double all_bigrams = 0;
  double trigrams = 0;
  for (size_t i = 0; i + 1 < query.size(); ++i) {
    const double weight = static_cast<double>(idf_[query[i]]) + idf_[query[i + 1]];
    all_bigrams += weight;
    if (!StandsInDocument(query.subspan(i, 2), document)) continue;
    bigrams += weight;
    if (i + 2 < query.size() && StandsInDocument(query.subspan(i, 3), document)) trigrams += 1;
  }
  const double overlap = Ratio(matches.found, matches.total);
  const double length = std::log1p(static_cast<double>(document.size()));
  return {overlap,
          Ratio(matches.hits, static_cast<double>(query_.size())),
          matches.hits,
          matches.bm25,
          Ratio(matches.bm25, matches.total),
          Ratio(matches.found_squares, matches.squares),
          matches.best_found,
          matches.best_missing,
          Ratio(matches.early, matches.total),
          bigrams,
          Ratio(bigrams, all_bigrams),
          Ratio(trigrams, static_cast<double>(query.size()) - 2),
          length,
          overlap * overlap,
          overlap * std::log1p(static_cast<double>(query.size())),
          overlap * length};
}

// Every distinct token of the query, and one for any query, crossed with every one of the document.
double LinearScorer::Hashed(double query_weight, double document_length) {
  if (terms_.empty()) return 0;
  double sum = kAnyIdf * HashedRow(kAnyToken);
  for (const int32_t token : query_) {
    sum += static_cast<double>(idf_[token]) * HashedRow(static_cast<uint32_t>(token));
  }
  return sum / std::sqrt(document_length * (kAnyIdf + query_weight));
}

double LinearScorer::HashedRow(uint32_t token) {
  const uint32_t base = token * 0x9E3779B1U + spec_.hash_seed;
  const int shift = 32 - spec_.bits;
  const size_t count = terms_.size();
  // A loop of its own, without the look-ups, becomes vector code.
  for (size_t i = 0; i < count; ++i) {
    uint32_t x = base + terms_[i];
    x = (x ^ (x >> 15)) * 0x2C1B3C6DU;
    x = (x ^ (x >> 12)) * 0x297A2D39U;
    found_[i] = x >> shift;
  }
  // Two sums, so that an addition need not wait for the one before.
  double even = 0;
  double odd = 0;
  size_t i = 0;
  for (; i + 1 < count; i += 2) {
    even += static_cast<double>(hashed_[found_[i]]) * weights_[i];
    odd += static_cast<double>(hashed_[found_[i + 1]]) * weights_[i + 1];
  }
  if (i < count) even += static_cast<double>(hashed_[found_[i]]) * weights_[i];
  return even + odd;
}

}  // namespace tailor
