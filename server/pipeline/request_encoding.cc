// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/request_encoding.h"

#include <algorithm>
#include <utility>

namespace tailor {
namespace {

constexpr int64_t kBytesPerToken = 4;  // of English prose with a vocabulary of 30,000

bool IsSameText(std::string_view a, std::string_view b) {
  return a.data() == b.data() && a.size() == b.size();
}

}  // namespace

EncodedRequest EncodeRequest(const Tokenizer& tokenizer, const Request& request, int max_tokens) {
  EncodedRequest encoded;
  encoded.lengths.reserve(request.texts.size());
  encoded.truncated.reserve(request.texts.size());
  EncodedText first;
  EncodedText second;
  const TextPair* encoded_pair = nullptr;
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
  for (const TextPair& text : request.texts) {
    bool is_cut = false;
    if (text.second) {
      if (encoded_pair == nullptr || !IsSameText(encoded_pair->first, text.first)) {
        tokenizer.EncodeText(text.first, kNoTokenLimit, &first);
        encoded_pair = &text;
      }
      tokenizer.EncodeText(*text.second, DocumentTokenLimit(first, max_tokens), &second);
      is_cut = tokenizer.AssemblePair(first, second, max_tokens, &ids, &types);
    } else {
      tokenizer.EncodeText(text.first, max_tokens, &second);
      is_cut = tokenizer.AssembleSingle(second, max_tokens, &ids, &types);
    }
    encoded.ids.insert(encoded.ids.end(), ids.begin(), ids.end());
    encoded.types.insert(encoded.types.end(), types.begin(), types.end());
    encoded.lengths.push_back(static_cast<int32_t>(ids.size()));
    encoded.truncated.push_back(is_cut ? 1 : 0);
    encoded.work.Add(static_cast<int64_t>(ids.size()));
  }
  return encoded;
}

EncodedRequest EncodeLengths(std::vector<int32_t> lengths) {
  EncodedRequest encoded;
  for (const int32_t length : lengths) encoded.work.Add(length);
  encoded.ids.assign(static_cast<size_t>(encoded.work.tokens), 0);
  encoded.types.assign(encoded.ids.size(), 0);
  encoded.truncated.assign(lengths.size(), 0);
  encoded.lengths = std::move(lengths);
  return encoded;
}

int64_t EstimateTokens(const Request& request, int max_tokens) {
  int64_t tokens = 0;
  for (const TextPair& text : request.texts) {
    size_t bytes = text.first.size();
    if (text.second) bytes += text.second->size();
    tokens += std::min<int64_t>(max_tokens,
                                static_cast<int64_t>(bytes) / kBytesPerToken + kNumPairMarkers);
  }
  return tokens;
}

}  // namespace tailor
