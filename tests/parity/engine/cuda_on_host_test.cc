// SPDX-License-Identifier: Apache-2.0
// The GPU engine without a GPU: the same forward pass, kernels and weights over the host's stand-in
// for CUDA. It shows that they compute the right thing, not that a GPU does.
#include <memory>

#include "gtest/gtest.h"

#include "engine/cuda/cuda_device_backend.h"
#include "tests/parity/engine/cuda_cases.h"
#include "tests/parity/engine/parity.h"
#include "tests/parity/engine/parity_cases.h"
#include "tests/testing/cuda_on_host/host_cuda.h"

namespace tailor {
namespace {

class CudaOnHost : public ::testing::TestWithParam<std::string> {
 protected:
  void TearDown() override { EXPECT_TRUE(gpu_.kernel_status.ok()) << gpu_.kernel_status; }

  testing::MakeEngine Engine() {
    return [this] {
      return cuda::MakeBackend(testing::MakeHostCuda(&gpu_), {.limits = testing::kParityLimits});
    };
  }

  testing::HostGpu gpu_;
};

TEST_P(CudaOnHost, AgreesWithTheReference) {
  // Longer batches take minutes; one model shows the longest sequence and a long one among others.
  const int max_tokens = GetParam() == "bert" ? 512 : 256;
  testing::ExpectCudaParity(GetParam(), Engine(), max_tokens);
}

TEST_P(CudaOnHost, APairDoesNotDependOnItsBatch) {
  testing::ExpectCudaBatchIndependence(GetParam(), Engine());
}

INSTANTIATE_TEST_SUITE_P(Models, CudaOnHost, ::testing::ValuesIn(testing::ParityConfigNames()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tailor
