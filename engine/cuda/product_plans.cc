// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/product_plans.h"

#include <array>
#include <cstdint>
#include <vector>

#include "base/status_macros.h"

namespace tailor::cuda {
namespace {

// What NVIDIA recommends on Hopper (cuBLAS library, "cublasSetWorkspace").
constexpr size_t kWorkspaceBytes = size_t{32} << 20;
constexpr int kCandidates = 4;
constexpr unsigned kBestAlignment = 256;  // of which an algorithm can make use

cudaDataType_t TypeOf(Element element) {
  switch (element) {
    case Element::kF32:
      return CUDA_R_32F;
    case Element::kF16:
      return CUDA_R_16F;
    case Element::kBf16:
      return CUDA_R_16BF;
  }
  return CUDA_R_32F;
}

// The largest power of two, up to the best, that divides all addresses.
unsigned AlignmentOf(const MatrixProduct& product) {
  uintptr_t bits = kBestAlignment;
  for (const void* address : {product.a, product.b, static_cast<const void*>(product.c)}) {
    bits |= reinterpret_cast<uintptr_t>(address);
  }
  return static_cast<unsigned>(bits & (~bits + 1));
}

// Owns a descriptor of the library.
template <typename Handle, cublasStatus_t (*Destroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle_ != nullptr) static_cast<void>(Destroy(handle_));
  }
  Handle get() const { return handle_; }
  Handle* address() { return &handle_; }

 private:
  Handle handle_ = nullptr;
};

using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cublasStatus_t MakeLayout(cudaDataType_t type, int rows, int columns, int leading, int32_t batch,
                          int64_t step, Layout* layout) {
  cublasStatus_t status =
      cublasLtMatrixLayoutCreate(layout->address(), type, static_cast<uint64_t>(rows),
                                 static_cast<uint64_t>(columns), leading);
  if (status != CUBLAS_STATUS_SUCCESS || batch == 1) return status;
  status = cublasLtMatrixLayoutSetAttribute(layout->get(), CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                            &batch, sizeof(batch));
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  return cublasLtMatrixLayoutSetAttribute(
      layout->get(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof(step));
}

cublasStatus_t MakePreference(uint32_t alignment, Preference* preference) {
  cublasStatus_t status = cublasLtMatmulPreferenceCreate(preference->address());
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
    if (status != CUBLAS_STATUS_SUCCESS) return;
    status = cublasLtMatmulPreferenceSetAttribute(preference->get(), name, &value, sizeof(value));
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  // The others join parts of a sum in the type of the result.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
  return status;
}

}  // namespace

struct ProductPlans::Plan {
  Description description;
  Layout a, b, c;
  std::vector<cublasLtMatmulAlgo_t> algorithms;  // the best one first
};

ProductPlans::ProductPlans(cudaStream_t stream) : stream_(stream) {}

ProductPlans::~ProductPlans() {
  plans_.clear();
  if (workspace_ != nullptr) static_cast<void>(cudaFree(workspace_));
  if (library_ != nullptr) static_cast<void>(cublasLtDestroy(library_));
}

absl::StatusOr<std::unique_ptr<ProductPlans>> ProductPlans::Open(cudaStream_t stream) {
  std::unique_ptr<ProductPlans> plans(new ProductPlans(stream));
  const cublasStatus_t opened = cublasLtCreate(&plans->library_);
  TAILOR_RETURN_IF_ERROR(ToStatus(plans->ErrorBehind(opened), "opening cuBLASLt"));
  TAILOR_RETURN_IF_ERROR(
      ToStatus(static_cast<Error>(cudaMalloc(&plans->workspace_, kWorkspaceBytes)),
               "allocating the workspace of products"));
  return plans;
}

// A status of cuBLAS is coarser than the CUDA error behind it, and the library has a runtime, with
// a last error, of its own. Whether the device is lost, the stream says.
Error ProductPlans::ErrorBehind(cublasStatus_t status) const {
  if (status == CUBLAS_STATUS_SUCCESS) return Error::kSuccess;
  const cudaError_t behind = cudaStreamSynchronize(stream_);
  if (behind != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return static_cast<Error>(behind);
  }
  // The second is what the library says when it cannot allocate what it needs to begin.
  const bool is_memory =
      status == CUBLAS_STATUS_ALLOC_FAILED || status == CUBLAS_STATUS_NOT_INITIALIZED;
  return is_memory ? Error::kMemoryAllocation : Error::kInvalidValue;
}

Error ProductPlans::MakePlan(const MatrixProduct& p, unsigned alignment, Plan* plan) {
  const cudaDataType_t type = TypeOf(p.element);
  const cublasOperation_t transposed = CUBLAS_OP_T;
  cublasStatus_t status =
      cublasLtMatmulDescCreate(plan->description.address(), CUBLAS_COMPUTE_32F, CUDA_R_32F);
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = cublasLtMatmulDescSetAttribute(plan->description.get(), CUBLASLT_MATMUL_DESC_TRANSA,
                                            &transposed, sizeof(transposed));
  }
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = MakeLayout(type, p.k, p.m, p.lda, p.batch, p.a_stride, &plan->a);
  }
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = MakeLayout(type, p.k, p.n, p.ldb, p.batch, 0, &plan->b);
  }
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = MakeLayout(type, p.m, p.n, p.ldc, p.batch, p.c_stride, &plan->c);
  }
  Preference preference;
  if (status == CUBLAS_STATUS_SUCCESS) status = MakePreference(alignment, &preference);
  if (status != CUBLAS_STATUS_SUCCESS) return ErrorBehind(status);
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> candidates = {};
  int found = 0;
  status = cublasLtMatmulAlgoGetHeuristic(library_, plan->description.get(), plan->a.get(),
                                          plan->b.get(), plan->c.get(), plan->c.get(),
                                          preference.get(), kCandidates, candidates.data(), &found);
  if (status != CUBLAS_STATUS_SUCCESS) return ErrorBehind(status);
  for (int i = 0; i < found; ++i) {
    if (candidates[i].state == CUBLAS_STATUS_SUCCESS)
      plan->algorithms.push_back(candidates[i].algo);
  }
  return plan->algorithms.empty() ? Error::kInvalidValue : Error::kSuccess;
}

Error ProductPlans::Multiply(const MatrixProduct& p) {
  const unsigned alignment = AlignmentOf(p);
  std::unique_ptr<Plan>& plan = plans_[{p.element, p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.batch,
                                        p.a_stride, p.c_stride, alignment}];
  if (plan == nullptr) {
    auto made = std::make_unique<Plan>();
    const Error error = MakePlan(p, alignment, made.get());
    if (error != Error::kSuccess) return error;
    plan = std::move(made);
  }
  const float one = 1;
  const float zero = 0;
  for (;;) {
    const cublasStatus_t status =
        cublasLtMatmul(library_, plan->description.get(), &one, p.a, plan->a.get(), p.b,
                       plan->b.get(), &zero, p.c, plan->c.get(), p.c, plan->c.get(),
                       &plan->algorithms.front(), workspace_, kWorkspaceBytes, stream_);
    // The library does not promise that what it proposes will run.
    if (status != CUBLAS_STATUS_NOT_SUPPORTED || plan->algorithms.size() == 1) {
      return ErrorBehind(status);
    }
    plan->algorithms.erase(plan->algorithms.begin());
  }
}

}  // namespace tailor::cuda
