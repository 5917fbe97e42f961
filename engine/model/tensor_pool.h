// SPDX-License-Identifier: Apache-2.0
// Owns tensors that no file holds as they are: decompressed, folded or cut ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "engine/tensor/tensor_view.h"

namespace tailor {

// Views stay valid as long as the pool lives. Not thread-safe.
class TensorPool {
 public:
  // A zeroed tensor, and the bytes to fill it through.
  std::pair<TensorView, std::span<std::byte>> Add(DType dtype, std::vector<int64_t> shape);

  // An f32 tensor with these values. values.size() == product of shape.
  TensorView Add(std::span<const float> values, std::vector<int64_t> shape);

  bool empty() const { return buffers_.empty(); }

 private:
  std::deque<AlignedBuffer<std::byte>> buffers_;
};

}  // namespace tailor
