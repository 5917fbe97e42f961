// SPDX-License-Identifier: Apache-2.0
// sums = x * weight^T on 8-bit codes with 32-bit sums: for hosts without VNNI, where oneDNN adds
// pairs of products in 16 bits that saturate. Exact.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tailor {

struct MultiplyCodesArgs {
  const int8_t* x;       // [rows, in]
  const int8_t* weight;  // [out, in]
  int rows;
  int out;        // a multiple of 4
  int in;         // a multiple of kCodePadding (quantize_rows.h)
  int32_t* sums;  // [rows, out]
};

using MultiplyCodesFn = void (*)(const MultiplyCodesArgs& args) noexcept;

}  // namespace tailor
