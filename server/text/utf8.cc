// SPDX-License-Identifier: Apache-2.0
#include "server/text/utf8.h"

#include <cstdint>
#include <cstring>

#include "absl/strings/str_format.h"

namespace tailor {
namespace {

constexpr DecodedChar kIllFormed = {0xFFFD, 1};

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }
char32_t Payload(char byte) { return static_cast<uint8_t>(byte) & 0x3F; }

}  // namespace

DecodedChar DecodeUtf8(std::string_view text) {
  const uint8_t lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xC2 || text.size() < 2 || !IsContinuation(text[1])) return kIllFormed;
  if (lead < 0xE0) return {(lead & 0x1Fu) << 6 | Payload(text[1]), 2};
  if (text.size() < 3 || !IsContinuation(text[2])) return kIllFormed;
  if (lead < 0xF0) {
    const char32_t c = (lead & 0x0Fu) << 12 | Payload(text[1]) << 6 | Payload(text[2]);
    if (c < 0x800 || (c >= 0xD800 && c < 0xE000)) return kIllFormed;
    return {c, 3};
  }
  if (lead > 0xF4 || text.size() < 4 || !IsContinuation(text[3])) return kIllFormed;
  const char32_t c =
      (lead & 0x07u) << 18 | Payload(text[1]) << 12 | Payload(text[2]) << 6 | Payload(text[3]);
  if (c < 0x10000 || c > 0x10FFFF) return kIllFormed;
  return {c, 4};
}

int EncodeUtf8(char32_t c, char* out) {
  if (c < 0x80) {
    out[0] = static_cast<char>(c);
    return 1;
  }
  if (c < 0x800) {
    out[0] = static_cast<char>(0xC0 | c >> 6);
    out[1] = static_cast<char>(0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = static_cast<char>(0xE0 | c >> 12);
    out[1] = static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out[2] = static_cast<char>(0x80 | (c & 0x3F));
    return 3;
  }
  out[0] = static_cast<char>(0xF0 | c >> 18);
  out[1] = static_cast<char>(0x80 | (c >> 12 & 0x3F));
  out[2] = static_cast<char>(0x80 | (c >> 6 & 0x3F));
  out[3] = static_cast<char>(0x80 | (c & 0x3F));
  return 4;
}

std::optional<size_t> FirstInvalidUtf8(std::string_view text) {
  size_t position = 0;
  while (position < text.size()) {
    uint64_t block = 0;
    if (text.size() - position >= sizeof(block)) {
      std::memcpy(&block, text.data() + position, sizeof(block));
      if ((block & 0x8080808080808080u) == 0) {
        position += sizeof(block);
        continue;
      }
    }
    const DecodedChar decoded = DecodeUtf8(text.substr(position));
    // U+FFFD itself is valid and takes three bytes.
    if (decoded.code_point == kIllFormed.code_point && decoded.num_bytes == 1) return position;
    position += static_cast<size_t>(decoded.num_bytes);
  }
  return std::nullopt;
}

absl::Status ValidateUtf8(std::string_view text) {
  const std::optional<size_t> position = FirstInvalidUtf8(text);
  if (!position) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("expected UTF-8, got an ill-formed sequence (byte 0x%02X) at byte %d",
                      static_cast<uint8_t>(text[*position]), *position));
}

}  // namespace tailor
