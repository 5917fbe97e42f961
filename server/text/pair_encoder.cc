// SPDX-License-Identifier: Apache-2.0
#include "server/text/pair_encoder.h"

#include <algorithm>
#include <utility>

namespace tailor {
namespace {

size_t MaxContent(int max_tokens, int num_markers) {
  return static_cast<size_t>(std::max(max_tokens - num_markers, 0));
}

// A document that was cut while it was encoded counts as one token longer than what is left of it,
// and so as longer than the query, as it is.
size_t FullLength(const EncodedText& text) { return text.ids.size() + (text.is_truncated ? 1 : 0); }

// Appends up to `length` ids of `text`.
void AppendPrefix(const EncodedText& text, size_t length, std::vector<int32_t>* ids) {
  const size_t count = std::min(length, text.ids.size());
  ids->insert(ids->end(), text.ids.begin(), text.ids.begin() + static_cast<ptrdiff_t>(count));
}

}  // namespace

PairLengths TruncateLongestFirst(PairLengths lengths, size_t max_content) {
  if (lengths.query + lengths.document <= max_content) return lengths;
  const bool query_is_longer = lengths.query > lengths.document;
  size_t shorter = std::min(lengths.query, lengths.document);
  size_t longer = shorter;
  if (shorter <= max_content) longer = std::max(shorter, max_content - shorter);
  if (shorter + longer > max_content) {
    shorter = max_content / 2;
    longer = shorter + max_content % 2;
  }
  return query_is_longer ? PairLengths{longer, shorter} : PairLengths{shorter, longer};
}

int DocumentTokenLimit(const EncodedText& query, int max_tokens) {
  return std::max(max_tokens, static_cast<int>(query.ids.size()));
}

bool AssemblePair(const SequenceMarkers& markers, const EncodedText& query,
                  const EncodedText& document, int max_tokens, std::vector<int32_t>* ids,
                  std::vector<int32_t>* types) {
  const PairLengths full = {FullLength(query), FullLength(document)};
  const PairLengths kept = TruncateLongestFirst(full, MaxContent(max_tokens, kNumPairMarkers));
  ids->clear();
  ids->push_back(markers.start);
  AppendPrefix(query, kept.query, ids);
  ids->push_back(markers.separator);
  const size_t num_query_tokens = ids->size();
  AppendPrefix(document, kept.document, ids);
  ids->push_back(markers.separator);
  types->assign(num_query_tokens, 0);
  types->resize(ids->size(), 1);
  return kept.query < full.query || kept.document < full.document || query.is_truncated ||
         document.is_truncated;
}

bool AssembleSingle(const SequenceMarkers& markers, const EncodedText& text, int max_tokens,
                    std::vector<int32_t>* ids, std::vector<int32_t>* types) {
  const size_t full = FullLength(text);
  const size_t kept = std::min(full, MaxContent(max_tokens, kNumSingleMarkers));
  ids->clear();
  ids->push_back(markers.start);
  AppendPrefix(text, kept, ids);
  ids->push_back(markers.separator);
  types->assign(ids->size(), 0);
  return kept < full || text.is_truncated;
}

}  // namespace tailor
