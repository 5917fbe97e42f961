// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the safetensors header. An input: 4 bytes that are the size of the data behind the
// header, little-endian, then the header.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/checked_math.h"
#include "engine/model/safetensors.h"
#include "engine/model/tensor_names.h"

namespace tailor {
namespace {

// What was accepted covers the data exactly once, whatever the header claimed.
void CheckAccepted(const std::vector<TensorInfo>& tensors, uint64_t data_bytes) {
  uint64_t covered = 0;
  std::vector<std::string> names;
  for (const TensorInfo& tensor : tensors) {
    TAILOR_CHECK(tensor.offset == covered);
    TAILOR_CHECK(tensor.bytes <= data_bytes - covered);
    const auto count = CheckedElementCount(tensor.shape);
    TAILOR_CHECK(count.has_value());
    TAILOR_CHECK(!tensor.dtype || *count * ByteSize(*tensor.dtype) == tensor.bytes);
    for (const char c : tensor.name) TAILOR_CHECK(c > ' ' && c < 0x7F);
    covered += tensor.bytes;
    names.push_back(tensor.name);
  }
  TAILOR_CHECK(covered == data_bytes);
  const auto canonical = CanonicalTensorNames(names);
  TAILOR_CHECK(!canonical.ok() || canonical->size() == names.size());
}

}  // namespace
}  // namespace tailor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint32_t data_bytes = 0;
  if (size < sizeof(data_bytes)) return 0;
  std::memcpy(&data_bytes, data, sizeof(data_bytes));
  const std::string header(reinterpret_cast<const char*>(data) + sizeof(data_bytes),
                           size - sizeof(data_bytes));
  const auto tensors = tailor::ParseSafetensorsHeader(header, data_bytes);
  if (tensors.ok()) {
    tailor::CheckAccepted(*tensors, data_bytes);
  } else {
    TAILOR_CHECK(tensors.status().message().find('\n') == absl::string_view::npos);
  }
  return 0;
}
