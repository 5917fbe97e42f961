// SPDX-License-Identifier: Apache-2.0
#include "server/text/piece_trie.h"

#include <algorithm>

namespace tailor {
namespace {

constexpr size_t kNumBytes = 256;
constexpr size_t kMaxTried = 64;  // 30,000 pieces take 10 ms to build, and no cap takes 2 s

// Pieces [begin, end) of the sorted list share their first `depth` bytes, which lead to `node`.
struct Range {
  size_t begin;
  size_t end;
  size_t depth;
  uint32_t node;
};

}  // namespace

PieceTrie::PieceTrie(std::vector<Piece> pieces) {
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const Piece& a, const Piece& b) { return a.text < b.text; });
  Grow(2 * kNumBytes);
  // The root is its own parent: a byte can lead to index 0 only from a base of 0, and the test in
  // LongestPrefix must then fail for every other node.
  nodes_[0].parent = kFree - 1;
  std::vector<Range> open = {{0, pieces.size(), 0, 0}};
  std::vector<uint8_t> bytes;
  std::vector<size_t> starts;
  while (!open.empty()) {
    Range range = open.back();
    open.pop_back();
    while (range.begin < range.end && pieces[range.begin].text.size() == range.depth) {
      nodes_[range.node].id = pieces[range.begin++].id;
    }
    bytes.clear();
    starts.clear();
    for (size_t i = range.begin; i < range.end; ++i) {
      const uint8_t byte = static_cast<uint8_t>(pieces[i].text[range.depth]);
      if (!bytes.empty() && bytes.back() == byte) continue;
      bytes.push_back(byte);
      starts.push_back(i);
    }
    if (bytes.empty()) continue;
    starts.push_back(range.end);
    const uint32_t base = FindBase(bytes);
    nodes_[range.node].base = base;
    for (size_t i = 0; i < bytes.size(); ++i) {
      nodes_[base + bytes[i]].parent = range.node;
      open.push_back({starts[i], starts[i + 1], range.depth + 1, base + bytes[i]});
    }
  }
}

// Makes room, so that base + any byte is an index for every base below `size`.
void PieceTrie::Grow(size_t size) { nodes_.resize(std::max(nodes_.size(), size + kNumBytes)); }

// First fit. An only child takes any free slot, which fills the holes; siblings stop looking
// through holes again that were too small for many before them.
uint32_t PieceTrie::FindBase(std::span<const uint8_t> bytes) {
  size_t& first_slot = bytes.size() == 1 ? first_free_ : first_roomy_;
  while (nodes_[first_slot].parent != kFree) {
    if (++first_slot == nodes_.size()) Grow(2 * nodes_.size());
  }
  size_t slot = std::max(first_slot, size_t{bytes[0]} + 1);
  for (size_t num_tried = 0;; ++slot, ++num_tried) {
    if (slot + kNumBytes >= nodes_.size()) Grow(2 * nodes_.size());
    const size_t base = slot - bytes[0];
    const bool fits = std::all_of(bytes.begin(), bytes.end(), [&](uint8_t byte) {
      return nodes_[base + byte].parent == kFree;
    });
    if (!fits) continue;
    if (num_tried > kMaxTried) first_slot = slot;
    return static_cast<uint32_t>(base);
  }
}

}  // namespace tailor
