// SPDX-License-Identifier: Apache-2.0
// Every call that the GPU engine makes of CUDA: cuda_on_gpu.h makes them on a GPU, tests on the
// host, with faults where they want them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "engine/cuda/cuda_error.h"
#include "engine/cuda/kernels/kernel_call.h"

namespace tailor::cuda {

struct DeviceFacts {
  std::string name;          // "NVIDIA H100 80GB HBM3"
  std::string architecture;  // "sm_90"
};

// c = transpose(a) * b in column-major order, as BLAS has it: a is [k, m], b [k, n], c [m, n], each
// with its leading dimension; sums in f32. Of a batch, b is the same for all. All three have the
// same element.
struct MatrixProduct {
  Element element = Element::kF32;
  int m = 0, n = 0, k = 0;
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
  int lda = 0, ldb = 0, ldc = 0;
  int batch = 1;
  ptrdiff_t a_stride = 0, c_stride = 0;  // numbers from one product of the batch to the next
};

// One device and one stream on it. Calls that queue work return at once; what goes wrong then, a
// later call says, mostly Synchronize. An error that is not sticky is told once. Not thread-safe,
// but any thread may call after Bind.
class Api {
 public:
  virtual ~Api() = default;

  virtual const DeviceFacts& facts() const = 0;

  // Before the first call on a thread: CUDA keeps the device that calls are for a thread.
  virtual Error Bind() = 0;

  virtual Error Allocate(size_t bytes, void** memory) = 0;
  virtual Error Free(void* memory) = 0;
  // Of the host, where the device reads and writes it directly.
  virtual Error AllocateHost(size_t bytes, void** memory) = 0;
  virtual Error FreeHost(void* memory) = 0;
  virtual Error FreeBytes(size_t* bytes) = 0;

  // Queued: memory of both sides stays as it is until Synchronize.
  virtual Error CopyToDevice(void* to, const void* from, size_t bytes) = 0;
  virtual Error CopyToHost(void* to, const void* from, size_t bytes) = 0;
  virtual Error Launch(const KernelCall& call) = 0;
  virtual Error Multiply(const MatrixProduct& product) = 0;

  // Waits for all that is queued.
  virtual Error Synchronize() = 0;
};

}  // namespace tailor::cuda
