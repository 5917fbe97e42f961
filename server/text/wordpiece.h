// SPDX-License-Identifier: Apache-2.0
// Words to token ids: greedy longest match, pieces after the first marked by "##".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/text/piece_trie.h"

namespace tailor {

// A longer word is one [UNK], whatever it contains.
inline constexpr size_t kMaxWordChars = 100;
inline constexpr size_t kMaxWordBytes = 4 * kMaxWordChars;

// Immutable after construction, so safe to share between threads.
class WordPiece {
 public:
  // vocabulary: index = id; of equal entries the last one counts. unknown_id: of [UNK].
  WordPiece(std::span<const std::string> vocabulary, int32_t unknown_id);

  // Appends the pieces of `word`, or [UNK] when it cannot be put together from pieces. `word` is
  // normalized, neither empty nor longer than kMaxWordChars.
  void AppendPieces(std::string_view word, std::vector<int32_t>* ids) const;

  int32_t unknown_id() const { return unknown_id_; }

 private:
  PieceTrie first_;
  PieceTrie following_;
  int32_t unknown_id_;
};

}  // namespace tailor
