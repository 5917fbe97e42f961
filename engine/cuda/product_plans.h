// SPDX-License-Identifier: Apache-2.0
// Matrix products by cuBLASLt. Only builds with CUDA have it.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <tuple>

#include "absl/status/statusor.h"

#include "engine/cuda/cuda_api.h"

namespace tailor::cuda {

// One algorithm for each shape, asked for when the shape first comes and kept, so that equal
// batches are always computed in the same way. TF32 is off: f32 products are made of f32 numbers.
// Sums that are made in parts are joined in f32. Not thread-safe.
class ProductPlans {
 public:
  // The stream outlives this; the calling thread has chosen the device.
  static absl::StatusOr<std::unique_ptr<ProductPlans>> Open(cudaStream_t stream);

  ProductPlans(const ProductPlans&) = delete;
  ProductPlans& operator=(const ProductPlans&) = delete;
  ~ProductPlans();

  // Queues the product. Error::kInvalidValue when the library has no algorithm for it.
  Error Multiply(const MatrixProduct& product);

 private:
  struct Plan;
  // All of a product but its addresses, and how well these are aligned.
  using Key =
      std::tuple<Element, int, int, int, int, int, int, int, ptrdiff_t, ptrdiff_t, unsigned>;

  explicit ProductPlans(cudaStream_t stream);

  Error ErrorBehind(cublasStatus_t status) const;
  Error MakePlan(const MatrixProduct& product, unsigned alignment, Plan* plan);

  const cudaStream_t stream_;
  cublasLtHandle_t library_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace tailor::cuda
