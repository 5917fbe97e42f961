// SPDX-License-Identifier: Apache-2.0
// A whole server on the GPU engine, over the host's stand-in for CUDA: it answers like one on the
// reference, makes do when memory runs out, and says so when a call fails for good.
#include <chrono>
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "engine/cuda/cuda_device_backend.h"
#include "tests/e2e/test_server.h"
#include "tests/testing/cuda_on_host/host_cuda.h"

namespace tailor {
namespace {

using testing::CudaCall;
using testing::ErrorInfoOf;
using testing::RankRequestOf;
using testing::TempFolder;
using testing::TestServer;

// Small batches, since warm-up measures the largest one too, thread by thread; and time for them.
ServerConfig SmallBatches() {
  return {.default_budget = std::chrono::seconds(60),
          .live_quality_share = 0,
          .max_batch_tokens = 512,
          .max_sequences = 32};
}

class CudaServerTest : public ::testing::Test {
 protected:
  CudaServerTest() { testing::WriteTinyFamily(folder_.path()); }

  ServerHooks Hooks() {
    return {.create_backend =
                [this](const BackendOptions& options) {
                  return cuda::MakeBackend(testing::MakeHostCuda(&gpu_),
                                           {.limits = options.limits, .choice = {}});
                },
            .on_device_lost = [this](const absl::Status& problem) { loss_ = problem; }};
  }

  TempFolder folder_;
  testing::HostGpu gpu_;
  absl::Status loss_;
  v1::RankResponse response_;
};

TEST_F(CudaServerTest, AnswersLikeTheReference) {
  ServerConfig config = SmallBatches();
  TestServer gpu(folder_.path(), config, /*warm=*/true, Hooks());
  config.device = "reference";
  TestServer reference(folder_.path(), config);
  for (const char* variant : {"small", "large"}) {
    v1::RankRequest request = RankRequestOf("a b", {"b c", "a", "c c c a b"});
    request.mutable_options()->set_variant(variant);
    v1::RankResponse expected;
    ASSERT_TRUE(gpu.Rank(request, &response_).ok());
    ASSERT_TRUE(reference.Rank(request, &expected).ok());
    ASSERT_EQ(response_.results_size(), 3);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(response_.results(i).index(), expected.results(i).index()) << variant;
      EXPECT_NEAR(response_.results(i).score(), expected.results(i).score(), 1e-5) << variant;
    }
  }
  EXPECT_THAT(gpu.Page("/statusz?format=json"), ::testing::HasSubstr("never run on a GPU"));
}

TEST_F(CudaServerTest, PlansSmallerBatchesWhereMemoryIsShort) {
  size_t used = 0;
  {
    TestServer roomy(folder_.path(), SmallBatches(), /*warm=*/false, Hooks());
    used = gpu_.used_bytes();
  }
  gpu_.total_bytes = used + (size_t{256} << 20) - 1;  // a byte less than with what is left alone
  TestServer server(folder_.path(), SmallBatches(), /*warm=*/true, Hooks());
  EXPECT_EQ(server.Metric("tailor_max_batch_tokens"), 256);
  EXPECT_TRUE(server.Rank(RankRequestOf("a b", {"b c", "a"}), &response_).ok());
}

TEST_F(CudaServerTest, OutOfMemoryCostsNoAnswer) {
  TestServer server(folder_.path(), SmallBatches(), /*warm=*/true, Hooks());
  ASSERT_EQ(server.Metric("tailor_max_batch_tokens"), 512);
  gpu_.FailCall(CudaCall::kMultiply, 0, cuda::Error::kMemoryAllocation);
  ASSERT_TRUE(server.Rank(RankRequestOf("a b", {"b c", "a", "c c c a b"}), &response_).ok());
  EXPECT_LT(server.Metric("tailor_max_batch_tokens"), 512);
  EXPECT_TRUE(server.Rank(RankRequestOf("a b", {"b c", "a", "c c c a b"}), &response_).ok());
}

TEST_F(CudaServerTest, AnErrorThatStaysEndsServing) {
  TestServer server(folder_.path(), SmallBatches(), /*warm=*/true, Hooks());
  gpu_.FailCall(CudaCall::kSynchronize, 0, cuda::Error::kIllegalAddress);
  const grpc::Status status = server.Rank(RankRequestOf("a", {"b"}), &response_);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "DEVICE_LOST");
  EXPECT_EQ(server.Page("/healthz"), "failed\n");
  EXPECT_FALSE(server.server().is_ready());
  EXPECT_EQ(loss_.message(), "CUDA: waiting for the device failed with error 700, illegal address");
  const int launches = gpu_.calls[CudaCall::kLaunch];
  EXPECT_FALSE(server.Rank(RankRequestOf("a", {"b"}), &response_).ok());
  EXPECT_EQ(gpu_.calls[CudaCall::kLaunch], launches);
  server.server().Shutdown();
}

}  // namespace
}  // namespace tailor
