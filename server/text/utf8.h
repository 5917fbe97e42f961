// SPDX-License-Identifier: Apache-2.0
// UTF-8 in: validation with the position of the first fault, and decoding.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "absl/status/status.h"

namespace tailor {

// Byte position where the first ill-formed sequence starts (a stray or overlong byte, a surrogate,
// above U+10FFFF, cut short), or nothing when `text` is UTF-8. NUL is valid. Linear.
std::optional<size_t> FirstInvalidUtf8(std::string_view text);

// InvalidArgument naming the byte and its position; never the text around it.
absl::Status ValidateUtf8(std::string_view text);

struct DecodedChar {
  char32_t code_point;
  int num_bytes;  // at least 1
};

// The code point at the start of `text`, which is not empty. Ill-formed input gives U+FFFD and one
// byte, and never reads past the end.
DecodedChar DecodeUtf8(std::string_view text);

// Writes the UTF-8 form of a code point; returns its length, 1 to 4. `out` has room for 4 bytes.
int EncodeUtf8(char32_t code_point, char* out);

}  // namespace tailor
