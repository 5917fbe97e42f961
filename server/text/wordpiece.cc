// SPDX-License-Identifier: Apache-2.0
#include "server/text/wordpiece.h"

namespace tailor {
namespace {

constexpr std::string_view kFollowingPrefix = "##";

// The pieces that start a word, or those that follow, without their prefix. Words hold no '#'
// beside other characters, so a following piece never starts one. What is longer than a word can
// be is left out.
std::vector<PieceTrie::Piece> SelectPieces(std::span<const std::string> vocabulary,
                                           bool following) {
  std::vector<PieceTrie::Piece> pieces;
  pieces.reserve(vocabulary.size());
  for (size_t id = 0; id < vocabulary.size(); ++id) {
    std::string_view text = vocabulary[id];
    const bool is_following =
        text.size() > kFollowingPrefix.size() && text.starts_with(kFollowingPrefix);
    if (is_following != following) continue;
    if (is_following) text.remove_prefix(kFollowingPrefix.size());
    if (text.empty() || text.size() > kMaxWordBytes) continue;
    pieces.push_back({text, static_cast<int32_t>(id)});
  }
  return pieces;
}

}  // namespace

WordPiece::WordPiece(std::span<const std::string> vocabulary, int32_t unknown_id)
    : first_(SelectPieces(vocabulary, false)),
      following_(SelectPieces(vocabulary, true)),
      unknown_id_(unknown_id) {}

void WordPiece::AppendPieces(std::string_view word, std::vector<int32_t>* ids) const {
  const size_t num_ids_before = ids->size();
  PieceTrie::Match match = first_.LongestPrefix(word);
  while (match.id >= 0) {
    ids->push_back(match.id);
    word.remove_prefix(match.num_bytes);
    if (word.empty()) return;
    match = following_.LongestPrefix(word);
  }
  ids->resize(num_ids_before);
  ids->push_back(unknown_id_);
}

}  // namespace tailor
