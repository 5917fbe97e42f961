// SPDX-License-Identifier: Apache-2.0
#include "engine/model/tensor_pool.h"

#include <cstring>

#include "base/check.h"

namespace tailor {

std::pair<TensorView, std::span<std::byte>> TensorPool::Add(DType dtype,
                                                            std::vector<int64_t> shape) {
  TensorView view = {.data = nullptr, .dtype = dtype, .shape = std::move(shape)};
  AlignedBuffer<std::byte>& buffer =
      buffers_.emplace_back(view.num_elements() * ByteSize(view.dtype));
  view.data = buffer.data();
  return {std::move(view), buffer.span()};
}

TensorView TensorPool::Add(std::span<const float> values, std::vector<int64_t> shape) {
  auto [view, bytes] = Add(DType::kF32, std::move(shape));
  TAILOR_CHECK(bytes.size() == values.size_bytes());
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return std::move(view);
}

}  // namespace tailor
