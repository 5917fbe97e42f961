// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/cuda_on_host/host_cuda.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <variant>
#include <vector>

#include "tests/testing/cuda_on_host/device_code.h"

namespace tailor::testing {
namespace {

using cuda::Error;

// A matrix in column-major order as f32, columns behind each other without gaps.
template <typename T>
std::vector<float> Dense(const void* data, int rows, int columns, int leading) {
  const T* values = static_cast<const T*>(data);
  std::vector<float> dense;
  dense.reserve(static_cast<size_t>(rows) * static_cast<size_t>(columns));
  for (int column = 0; column < columns; ++column) {
    const T* first = values + static_cast<ptrdiff_t>(column) * leading;
    for (int row = 0; row < rows; ++row) dense.push_back(cuda::ToFloat(first[row]));
  }
  return dense;
}

// In f32 like a GPU, and in eight sums, which a compiler may keep in one register.
float Dot(const float* x, const float* y, size_t count) {
  std::array<float, 8> sums = {};
  size_t i = 0;
  for (; i + sums.size() <= count; i += sums.size()) {
    for (size_t k = 0; k < sums.size(); ++k) sums[k] += x[i + k] * y[i + k];
  }
  for (; i < count; ++i) sums[0] += x[i] * y[i];
  return std::accumulate(sums.begin(), sums.end(), 0.0F);
}

template <typename T>
void Multiply(const cuda::MatrixProduct& p) {
  const auto inner = static_cast<size_t>(p.k);
  const std::vector<float> b = Dense<T>(p.b, p.k, p.n, p.ldb);
  for (int i = 0; i < p.batch; ++i) {
    const std::vector<float> a =
        Dense<T>(static_cast<const T*>(p.a) + i * p.a_stride, p.k, p.m, p.lda);
    T* c = static_cast<T*>(p.c) + i * p.c_stride;
    for (size_t column = 0; column < static_cast<size_t>(p.n); ++column) {
      const float* x = b.data() + column * inner;
      for (size_t row = 0; row < static_cast<size_t>(p.m); ++row) {
        const float* w = a.data() + row * inner;
        c[column * static_cast<size_t>(p.ldc) + row] = cuda::FromFloat<T>(Dot(x, w, inner));
      }
    }
  }
}

class HostCuda final : public cuda::Api {
 public:
  explicit HostCuda(HostGpu* gpu) : gpu_(gpu) {}

  const cuda::DeviceFacts& facts() const override { return facts_; }
  Error Bind() override { return gpu_->Note(CudaCall::kBind); }

  Error Allocate(size_t bytes, void** memory) override {
    const Error error = gpu_->Note(CudaCall::kAllocate);
    if (error != Error::kSuccess) return error;
    if (gpu_->used_bytes() + bytes > gpu_->total_bytes) return Error::kMemoryAllocation;
    return Allocate(bytes, memory, &gpu_->memory);
  }
  Error Free(void* memory) override { return Free(memory, &gpu_->memory); }
  Error AllocateHost(size_t bytes, void** memory) override {
    const Error error = gpu_->Note(CudaCall::kAllocateHost);
    return error == Error::kSuccess ? Allocate(bytes, memory, &gpu_->pinned) : error;
  }
  Error FreeHost(void* memory) override { return Free(memory, &gpu_->pinned); }
  Error FreeBytes(size_t* bytes) override {
    *bytes = gpu_->total_bytes - gpu_->used_bytes();
    return gpu_->Note(CudaCall::kFreeBytes);
  }

  Error CopyToDevice(void* to, const void* from, size_t bytes) override {
    return Copy(CudaCall::kCopyToDevice, to, from, bytes);
  }
  Error CopyToHost(void* to, const void* from, size_t bytes) override {
    return Copy(CudaCall::kCopyToHost, to, from, bytes);
  }

  Error Launch(const cuda::KernelCall& call) override {
    const Error error = gpu_->Note(CudaCall::kLaunch);
    if (error != Error::kSuccess) return error;
    std::visit(
        [this](const auto& kernel) {
          cuda::WithType(kernel.element, [&](auto value) {
            RunBlocks(ShapeOf(kernel), [&] { cuda::KernelFor<decltype(value)>(kernel)(kernel); });
          });
        },
        call);
    return Error::kSuccess;
  }

  Error Multiply(const cuda::MatrixProduct& product) override {
    const Error error = gpu_->Note(CudaCall::kMultiply);
    if (error != Error::kSuccess) return error;
    cuda::WithType(product.element,
                   [&](auto value) { testing::Multiply<decltype(value)>(product); });
    return Error::kSuccess;
  }

  Error Synchronize() override { return gpu_->Note(CudaCall::kSynchronize); }

 private:
  // Filled with numbers that nobody must read: NaN as f32, f16 and bf16.
  static Error Allocate(size_t bytes, void** memory, std::map<void*, size_t>* owner) {
    *memory = std::malloc(bytes);
    std::memset(*memory, 0xFF, bytes);
    (*owner)[*memory] = bytes;
    return Error::kSuccess;
  }
  static Error Free(void* memory, std::map<void*, size_t>* owner) {
    if (owner->erase(memory) == 0) return Error::kInvalidValue;
    std::free(memory);
    return Error::kSuccess;
  }
  Error Copy(CudaCall call, void* to, const void* from, size_t bytes) {
    const Error error = gpu_->Note(call);
    if (error == Error::kSuccess) std::memcpy(to, from, bytes);
    return error;
  }

  void RunBlocks(const cuda::LaunchShape& shape, const std::function<void()>& body) {
    ThreadBlock::Index block;
    for (block.z = 0; block.z < static_cast<unsigned>(shape.blocks[2]); ++block.z) {
      for (block.y = 0; block.y < static_cast<unsigned>(shape.blocks[1]); ++block.y) {
        for (block.x = 0; block.x < static_cast<unsigned>(shape.blocks[0]); ++block.x) {
          gpu_->kernel_status.Update(threads_.Run(shape.threads, block, body));
        }
      }
    }
  }

  HostGpu* const gpu_;
  const cuda::DeviceFacts facts_ = {.name = "host", .architecture = "host"};
  ThreadBlock threads_;
};

}  // namespace

void HostGpu::FailCall(CudaCall call, int n, cuda::Error error) {
  faults_[call] = {.at = calls[call] + n, .error = error};
}

size_t HostGpu::used_bytes() const {
  size_t bytes = 0;
  for (const auto& [address, size] : memory) bytes += size;
  return bytes;
}

cuda::Error HostGpu::Note(CudaCall call) {
  const int number = calls[call]++;
  if (sticky_ != Error::kSuccess) return sticky_;
  const auto fault = faults_.find(call);
  if (fault == faults_.end() || fault->second.at != number) return Error::kSuccess;
  if (cuda::IsSticky(fault->second.error)) sticky_ = fault->second.error;
  return fault->second.error;
}

std::unique_ptr<cuda::Api> MakeHostCuda(HostGpu* gpu) { return std::make_unique<HostCuda>(gpu); }

}  // namespace tailor::testing
