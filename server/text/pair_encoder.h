// SPDX-License-Identifier: Apache-2.0
// Token sequences as the engine reads them, from texts that were encoded once:
//   pair    [CLS] query [SEP] document [SEP]   types 0 up to the first [SEP], then 1
//   single  [CLS] text [SEP]                   types 0
// Too long ones are cut by `longest_first` exactly as Hugging Face tokenizers does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tailor {

// One text as token ids, without [CLS] and [SEP].
struct EncodedText {
  std::vector<int32_t> ids;
  bool is_truncated = false;  // the text has more tokens than `ids`
};

// The ids of [CLS] and [SEP].
struct SequenceMarkers {
  int32_t start = 0;
  int32_t separator = 0;
};

inline constexpr int kNumPairMarkers = 3;
inline constexpr int kNumSingleMarkers = 2;

// How many tokens of each text stay.
struct PairLengths {
  size_t query = 0;
  size_t document = 0;
};

// Both stay whole where they fit in max_content tokens. Else the longer one is cut, as far as the
// length of the other one; what is still too much is shared, the odd token going to the document
// or, when the query was the longer one, to the query.
PairLengths TruncateLongestFirst(PairLengths lengths, size_t max_content);

// The limit to encode a document with that will stand beside `query`: no token behind it can change
// the pair. The query itself is encoded whole, because who gets the odd token depends on which text
// is longer, so this is more than max_tokens only for a query that is longer still.
int DocumentTokenLimit(const EncodedText& query, int max_tokens);

// Replace what `ids` and `types` hold, and return whether any text was cut off, here or when it was
// encoded. The sequence has at most max_tokens tokens, except that the markers are always there.
// The cut is the reference's if the query was encoded whole and the document with at least
// DocumentTokenLimit, a single text with at least max_tokens. A warm call allocates nothing.
bool AssemblePair(const SequenceMarkers& markers, const EncodedText& query,
                  const EncodedText& document, int max_tokens, std::vector<int32_t>* ids,
                  std::vector<int32_t>* types);
bool AssembleSingle(const SequenceMarkers& markers, const EncodedText& text, int max_tokens,
                    std::vector<int32_t>* ids, std::vector<int32_t>* types);

}  // namespace tailor
