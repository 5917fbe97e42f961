// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/all_kernels.cuh"
#include "engine/cuda/kernels/launch.h"

namespace tailor::cuda {
namespace {

dim3 Blocks(const LaunchShape& shape) {
  return {static_cast<unsigned>(shape.blocks[0]), static_cast<unsigned>(shape.blocks[1]),
          static_cast<unsigned>(shape.blocks[2])};
}

}  // namespace

cudaError_t CheckCode() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, PoolRowsKernel<float>);
}

cudaError_t Launch(const KernelCall& call, cudaStream_t stream) {
  std::visit(
      [stream](const auto& kernel) {
        const LaunchShape shape = ShapeOf(kernel);
        const dim3 blocks = Blocks(shape);
        if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0) return;
        WithType(kernel.element, [&](auto value) {
          const auto function = KernelFor<decltype(value)>(kernel);
          function<<<blocks, static_cast<unsigned>(shape.threads), 0, stream>>>(kernel);
        });
      },
      call);
  return cudaGetLastError();
}

}  // namespace tailor::cuda
