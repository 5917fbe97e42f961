// SPDX-License-Identifier: Apache-2.0
// The GPU engine on a GPU. Without one, or in a build without CUDA, every test is skipped and says
// why.
#include <memory>

#include "gtest/gtest.h"

#include "engine/backend_factory.h"
#include "tests/parity/engine/cuda_cases.h"
#include "tests/parity/engine/parity.h"
#include "tests/parity/engine/parity_cases.h"

namespace tailor {
namespace {

absl::StatusOr<std::unique_ptr<Backend>> OpenGpu() {
  return CreateBackend({.device = Device::kCuda, .limits = testing::kParityLimits});
}

class CudaParity : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const auto gpu = OpenGpu();
    if (!gpu.ok()) GTEST_SKIP() << gpu.status().message();
  }
  static std::unique_ptr<Backend> Gpu() { return OpenGpu().value(); }
};

TEST_P(CudaParity, AgreesWithTheReference) {
  testing::ExpectCudaParity(GetParam(), Gpu, testing::kParityLimits.max_tokens);
}

TEST_P(CudaParity, APairDoesNotDependOnItsBatch) {
  testing::ExpectCudaBatchIndependence(GetParam(), Gpu);
}

INSTANTIATE_TEST_SUITE_P(Models, CudaParity, ::testing::ValuesIn(testing::ParityConfigNames()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tailor
