// SPDX-License-Identifier: Apache-2.0
#include "engine/model/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

#include "base/check.h"
#include "base/status_macros.h"

namespace tailor {
namespace {

// Failures of the digest itself are broken installations, not input.
class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    TAILOR_CHECK(context_ != nullptr);
    TAILOR_CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void Add(std::span<const std::byte> bytes) {
    TAILOR_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::string Hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int size = 0;
    TAILOR_CHECK(EVP_DigestFinal_ex(context_.get(), bytes.data(), &size) == 1);
    return absl::BytesToHexString({reinterpret_cast<const char*>(bytes.data()), size});
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string Sha256Hex(absl::string_view bytes) {
  Digest digest;
  digest.Add(std::as_bytes(std::span(bytes)));
  return digest.Hex();
}

absl::StatusOr<std::string> Sha256Hex(const InputFile& file) {
  Digest digest;
  std::vector<std::byte> chunk(size_t{1} << 20);
  for (uint64_t offset = 0; offset < file.size(); offset += chunk.size()) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(chunk.size(), file.size() - offset));
    const std::span<std::byte> part = std::span(chunk).first(size);
    TAILOR_RETURN_IF_ERROR(file.ReadAt(offset, part));
    digest.Add(part);
  }
  return digest.Hex();
}

}  // namespace tailor
