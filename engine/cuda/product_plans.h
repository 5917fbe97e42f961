// SPDX-License-Identifier: Apache-2.0
// Matrix products by cuBLASLt. Only builds with CUDA have it.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <tuple>

#include "absl/status/status.h"

#include "engine/cuda/cuda_api.h"

namespace tailor::cuda {

// One algorithm for each shape, asked for when the shape first comes and kept, so that equal
// batches are always computed in the same way. TF32 is off: f32 products are made of f32 numbers.
// Not thread-safe.
class ProductPlans {
 public:
  ProductPlans();
  ProductPlans(const ProductPlans&) = delete;
  ProductPlans& operator=(const ProductPlans&) = delete;
  ~ProductPlans();

  // Before the first product. The stream outlives this; the calling thread has chosen the device.
  absl::Status Open(cudaStream_t stream);

  // Queues the product. Error::kInvalidValue when the library has no algorithm for it.
  Error Multiply(const MatrixProduct& product);

 private:
  struct Plan;
  // All of a product but its addresses, and how well these are aligned.
  using Key =
      std::tuple<Element, int, int, int, int, int, int, int, ptrdiff_t, ptrdiff_t, unsigned>;

  Error MakePlan(const MatrixProduct& product, unsigned alignment, Plan* plan);

  cublasLtHandle_t library_ = nullptr;
  cudaStream_t stream_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace tailor::cuda
