// SPDX-License-Identifier: Apache-2.0
// Text to token ids as BertTokenizerFast of Hugging Face does it: identical ids for every text.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "server/text/pair_encoder.h"
#include "server/text/text_scanner.h"
#include "server/text/unicode_normalizer.h"
#include "server/text/wordpiece.h"

namespace tailor {

struct TokenizerOptions {
  std::vector<std::string> vocabulary;  // index = token id
  bool lower_case = true;
  bool strip_accents = true;
};

inline constexpr int kNoTokenLimit = std::numeric_limits<int>::max();

// Immutable, so safe to share between threads.
class Tokenizer {
 public:
  // InvalidArgument when [UNK], [CLS] or [SEP] is missing or an entry is not UTF-8. [PAD] and
  // [MASK] are optional.
  static absl::StatusOr<Tokenizer> Create(TokenizerOptions options);

  // The tokens of one text, without [CLS] and [SEP]. At most max_tokens of them are made, and the
  // text behind them is not looked at: no limit for a query, DocumentTokenLimit for its documents,
  // the length of the sequence for a single text. Special tokens that the text itself spells, such
  // as
  // "[SEP]", become those tokens, as in the reference. `text` should be UTF-8 (ValidateUtf8);
  // ill-formed bytes are dropped.
  EncodedText EncodeText(std::string_view text, int max_tokens = kNoTokenLimit) const;
  // The same into `out`, whose memory is reused.
  void EncodeText(std::string_view text, int max_tokens, EncodedText* out) const;

  // See pair_encoder.h. Replace what `ids` and `types` hold; return whether text was cut off.
  bool AssemblePair(const EncodedText& query, const EncodedText& document, int max_tokens,
                    std::vector<int32_t>* ids, std::vector<int32_t>* types) const {
    return tailor::AssemblePair(markers_, query, document, max_tokens, ids, types);
  }
  bool AssembleSingle(const EncodedText& text, int max_tokens, std::vector<int32_t>* ids,
                      std::vector<int32_t>* types) const {
    return tailor::AssembleSingle(markers_, text, max_tokens, ids, types);
  }

  const std::vector<std::string>& vocabulary() const { return vocabulary_; }
  const SequenceMarkers& markers() const { return markers_; }

 private:
  Tokenizer(TokenizerOptions options, SequenceMarkers markers, int32_t unknown_id,
            std::vector<SpecialToken> special_tokens);

  std::vector<std::string> vocabulary_;
  UnicodeNormalizer normalizer_;
  WordPiece wordpiece_;
  SequenceMarkers markers_;
  std::vector<SpecialToken> special_tokens_;
};

}  // namespace tailor
