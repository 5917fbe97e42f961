// SPDX-License-Identifier: Apache-2.0
// Longest-prefix look-up of vocabulary pieces: a double-array trie over bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace tailor {

// Immutable after construction, so safe to share between threads.
class PieceTrie {
 public:
  struct Piece {
    std::string_view text;  // not empty
    int32_t id;             // not negative
  };
  struct Match {
    int32_t id = -1;  // -1: no piece is a prefix
    size_t num_bytes = 0;
  };

  // Of pieces with the same text the last one counts. The texts are not kept.
  explicit PieceTrie(std::vector<Piece> pieces);

  // The longest piece that `text` starts with. Reads at most as many bytes as the longest piece
  // has, plus one.
  Match LongestPrefix(std::string_view text) const {
    Match match;
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const uint32_t next = nodes_[node].base + static_cast<uint8_t>(text[i]);
      if (nodes_[next].parent != node) break;
      node = next;
      if (nodes_[node].id >= 0) match = {nodes_[node].id, i + 1};
    }
    return match;
  }

 private:
  static constexpr uint32_t kFree = 0xFFFFFFFFu;
  struct Node {
    uint32_t base = 0;        // children stand at base + byte
    uint32_t parent = kFree;  // whose child this is
    int32_t id = -1;          // of the piece that ends here
  };

  uint32_t FindBase(std::span<const uint8_t> bytes);
  void Grow(size_t size);

  std::vector<Node> nodes_;  // [0] is the root
  // Only for the construction: where a look for free slots starts.
  size_t first_free_ = 1;
  size_t first_roomy_ = 1;
};

}  // namespace tailor
