// SPDX-License-Identifier: Apache-2.0
// The texts of a request as token sequences.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "server/pipeline/cost_model.h"
#include "server/pipeline/request.h"
#include "server/text/tokenizer.h"

namespace tailor {

// Sequences packed end to end, in the order of Request::texts.
struct EncodedRequest {
  std::vector<int32_t> ids;        // [tokens]
  std::vector<int32_t> types;      // [tokens]
  std::vector<int32_t> lengths;    // [texts]
  std::vector<uint8_t> truncated;  // [texts] 0 or 1
  WorkShape work;
};

// Every sequence has 1 to max_tokens tokens. A text that is `first` of neighbouring pairs (the
// query of kRank) is encoded once.
EncodedRequest EncodeRequest(const Tokenizer& tokenizer, const Request& request, int max_tokens);

// Sequences of those lengths, every id and type 0: for a pipeline that is run without text.
EncodedRequest EncodeLengths(std::vector<int32_t> lengths);

// Roughly how many tokens that will be, from the number of bytes alone; linear in the texts.
int64_t EstimateTokens(const Request& request, int max_tokens);

}  // namespace tailor
