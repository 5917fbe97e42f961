// SPDX-License-Identifier: Apache-2.0
// Memory and faults of the GPU engine, over the host's stand-in for CUDA. What it computes:
// tests/parity/engine/cuda_on_host_test.cc.
#include "engine/cuda/cuda_device_backend.h"

#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "engine/model/sub_network.h"
#include "tests/parity/engine/parity.h"
#include "tests/parity/engine/random_model.h"
#include "tests/testing/cuda_on_host/host_cuda.h"

namespace tailor::cuda {
namespace {

using testing::CudaCall;
using ::testing::HasSubstr;

constexpr BatchLimits kLimits = {
    .max_tokens = 512, .max_sequences = 64, .max_sequence_tokens = 128};

class CudaBackendTest : public ::testing::Test {
 protected:
  std::unique_ptr<Backend> Make() {
    return MakeBackend(testing::MakeHostCuda(&gpu_), {.limits = kLimits, .choice = "because"});
  }
  // The outputs of the batch as a healthy engine gives them.
  std::vector<float> Expected(const Batch& batch) {
    testing::HostGpu healthy;
    const auto backend =
        MakeBackend(testing::MakeHostCuda(&healthy), {.limits = kLimits, .choice = {}});
    return testing::Outputs(*backend, testing::LoadInto(*backend, package_), batch);
  }
  static absl::Status Run(Backend& backend, const LoadedCut& cut, const Batch& batch,
                          std::vector<float>* outputs) {
    outputs->assign(static_cast<size_t>(batch.num_sequences()) * cut.num_outputs, 0);
    return backend.Run(cut.cut, batch, *outputs);
  }

  const BertConfig config_ = testing::EqualLayers(64, 4, 128, 2);
  const ModelPackage package_ = testing::RandomModel(config_, 17, WeightFormat::kF16);
  const Batch batch_ = testing::RandomBatch({40, 7, 60, 1, 64, 33}, config_, 3);
  testing::HostGpu gpu_;
  std::vector<float> outputs_;
};

TEST_F(CudaBackendTest, SaysWhatItIs) {
  const auto backend = Make();
  EXPECT_EQ(backend->info().device, "cuda");
  EXPECT_EQ(backend->info().choice, "because");
  EXPECT_EQ(backend->info().notice, "experimental: never run on a GPU");
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  EXPECT_THAT(cut.kernels, ::testing::Contains("attention.query_key_value 192x64: cublasLt f16"));
  EXPECT_GT(cut.packed_bytes, 0U);
}

TEST_F(CudaBackendTest, AWarmRunAllocatesNothingAndTheEndFreesAll) {
  auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  testing::Outputs(*backend, cut, batch_);
  const int device = gpu_.calls[CudaCall::kAllocate];
  const int host = gpu_.calls[CudaCall::kAllocateHost];
  testing::Outputs(*backend, cut, testing::RandomBatch({128, 128, 128, 128}, config_, 4));
  EXPECT_EQ(gpu_.calls[CudaCall::kAllocate], device);
  EXPECT_EQ(gpu_.calls[CudaCall::kAllocateHost], host);
  backend.reset();
  EXPECT_TRUE(gpu_.memory.empty());
  EXPECT_TRUE(gpu_.pinned.empty());
}

TEST_F(CudaBackendTest, RefusesWhatItHasNoKernelsFor) {
  const auto backend = Make();
  const auto int8 = testing::RandomModel(config_, 17, WeightFormat::kInt8);
  EXPECT_EQ(backend->Load(int8).status().message(),
            "random: expected f32, f16 or bf16 weights on cuda, got int8; serve it with "
            "--device=cpu");
  ModelPackage codes = testing::RandomModel(config_, 17);
  testing::StoreCodes(codes, testing::Stored::kEverySecond, 0);
  EXPECT_EQ(backend->Load(codes).status().code(), absl::StatusCode::kFailedPrecondition);
  const auto wide = testing::RandomModel(testing::EqualLayers(264, 2, 64, 1), 17);
  EXPECT_THAT(backend->Load(wide).status().message(),
              HasSubstr("expected heads of at most 128 numbers on cuda, got 132"));
  // The others stay as they were.
  EXPECT_EQ(testing::Outputs(*backend, testing::LoadInto(*backend, package_), batch_),
            Expected(batch_));
}

TEST_F(CudaBackendTest, RefusesABatchThatIsMalformed) {
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  const auto code = [&](const Batch& batch) { return Run(*backend, cut, batch, &outputs_).code(); };
  EXPECT_EQ(code(testing::RandomBatch({129}, config_, 3)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(testing::RandomBatch({128, 128, 128, 128, 1}, config_, 3)),
            absl::StatusCode::kInvalidArgument);
  Batch foreign = batch_;
  foreign.token_ids[5] = config_.vocab_size;
  EXPECT_EQ(code(foreign), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Run(*backend, cut, Batch{}, &outputs_).ok());
  EXPECT_EQ(backend->Run({.variant = 1}, batch_, outputs_).code(),
            absl::StatusCode::kInvalidArgument);
}

// Memory is planned from what is free: batches are made smaller before a variant is refused.
TEST_F(CudaBackendTest, PlansSmallerBatchesWhereMemoryIsShort) {
  size_t most = 0;
  {
    const auto backend = Make();
    testing::LoadInto(*backend, package_);
    most = gpu_.used_bytes();
  }
  gpu_.total_bytes = most + (size_t{256} << 20) - 1;  // with what is left alone, a byte too few
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  EXPECT_EQ(backend->info().limits.max_tokens, 256);
  EXPECT_EQ(testing::Outputs(*backend, cut, batch_), Expected(batch_));
}

TEST_F(CudaBackendTest, RefusesAVariantThatDoesNotFitAndKeepsTheOthers) {
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  gpu_.total_bytes = gpu_.used_bytes() + (size_t{256} << 20);
  const auto larger = testing::RandomModel(testing::EqualLayers(256, 4, 512, 1), 18);
  const absl::Status refused = backend->Load(larger).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.message(), HasSubstr("lower --max-batch-tokens or serve fewer variants"));
  EXPECT_EQ(backend->info().limits.max_tokens, kLimits.max_tokens);
  EXPECT_EQ(testing::Outputs(*backend, cut, batch_), Expected(batch_));
}

TEST_F(CudaBackendTest, OutOfMemoryHalvesTheBatchAndLowersTheCap) {
  for (const CudaCall call : {CudaCall::kLaunch, CudaCall::kMultiply, CudaCall::kCopyToDevice,
                              CudaCall::kCopyToHost, CudaCall::kSynchronize}) {
    gpu_ = {};
    const auto backend = Make();
    const LoadedCut cut = testing::LoadInto(*backend, package_);
    const size_t used = gpu_.used_bytes();
    const int copies = gpu_.calls[CudaCall::kCopyToHost];
    gpu_.FailCall(call, 0, Error::kMemoryAllocation);
    EXPECT_EQ(testing::Outputs(*backend, cut, batch_), Expected(batch_));
    EXPECT_GE(gpu_.calls[CudaCall::kCopyToHost], copies + 2);  // of 205 tokens, 128 and the rest
    EXPECT_EQ(backend->info().limits.max_tokens, kLimits.max_tokens / 2);
    EXPECT_LT(gpu_.used_bytes(), used);
    const Batch larger = testing::RandomBatch({100, 100, 100}, config_, 3);
    EXPECT_EQ(Run(*backend, cut, larger, &outputs_).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(testing::Outputs(*backend, cut, batch_), Expected(batch_));
  }
}

TEST_F(CudaBackendTest, PartsOfAFullBatchFitTheNewCap) {
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  const Batch full = testing::RandomBatch({100, 128, 128, 128, 28}, config_, 3);
  gpu_.FailCall(CudaCall::kLaunch, 2, Error::kMemoryAllocation);
  EXPECT_EQ(testing::Outputs(*backend, cut, full), Expected(full));
}

TEST_F(CudaBackendTest, TheCapStaysAboveTheLongestSequence) {
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  for (int i = 0; i < 5; ++i) {
    gpu_.FailCall(CudaCall::kLaunch, 0, Error::kMemoryAllocation);
    const Batch longest = testing::RandomBatch({128}, config_, 3);
    EXPECT_EQ(testing::Outputs(*backend, cut, longest), Expected(longest));
  }
  EXPECT_EQ(backend->info().limits.max_tokens, kLimits.max_sequence_tokens);
}

TEST_F(CudaBackendTest, ASecondTimeInOneBatchIsAnErrorAndNotTheEnd) {
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  gpu_.FailCall(CudaCall::kLaunch, 0, Error::kMemoryAllocation);
  gpu_.FailCall(CudaCall::kMultiply, 1, Error::kMemoryAllocation);
  EXPECT_EQ(Run(*backend, cut, batch_, &outputs_).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(testing::Outputs(*backend, cut, batch_), Expected(batch_));
}

// Memory was given back to make do, and is not there again: later batches ask for it.
TEST_F(CudaBackendTest, MemoryThatIsGoneIsAskedForAgain) {
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  gpu_.FailCall(CudaCall::kLaunch, 0, Error::kMemoryAllocation);
  gpu_.FailCall(CudaCall::kAllocate, 0, Error::kMemoryAllocation);
  EXPECT_EQ(Run(*backend, cut, batch_, &outputs_).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(testing::Outputs(*backend, cut, batch_), Expected(batch_));
}

// The device is lost while something else fails: that it is lost must not wait for the next batch.
TEST_F(CudaBackendTest, ALossCountsMoreThanWhatFailedBefore) {
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  gpu_.FailCall(CudaCall::kMultiply, 0, Error::kInvalidValue);
  gpu_.FailCall(CudaCall::kSynchronize, 0, Error::kContained);
  EXPECT_EQ(Run(*backend, cut, batch_, &outputs_).code(), absl::StatusCode::kUnavailable);
}

TEST_F(CudaBackendTest, AStickyErrorIsTheEnd) {
  for (const CudaCall call :
       {CudaCall::kBind, CudaCall::kLaunch, CudaCall::kMultiply, CudaCall::kCopyToDevice,
        CudaCall::kCopyToHost, CudaCall::kSynchronize}) {
    gpu_ = {};
    const auto backend = Make();
    const LoadedCut cut = testing::LoadInto(*backend, package_);
    gpu_.FailCall(call, 0, Error::kIllegalAddress);
    EXPECT_EQ(Run(*backend, cut, batch_, &outputs_).code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(Run(*backend, cut, batch_, &outputs_).code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(backend->info().limits.max_tokens, kLimits.max_tokens);
  }
}

TEST_F(CudaBackendTest, AnErrorOfOneCallFailsOneBatch) {
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  gpu_.FailCall(CudaCall::kMultiply, 3, Error::kInvalidValue);
  EXPECT_EQ(Run(*backend, cut, batch_, &outputs_).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(testing::Outputs(*backend, cut, batch_), Expected(batch_));
}

// Behind the first failure nothing is queued, but what was queued is waited for.
TEST_F(CudaBackendTest, NothingRunsOnAfterAFailure) {
  const auto backend = Make();
  const LoadedCut cut = testing::LoadInto(*backend, package_);
  const int launches = gpu_.calls[CudaCall::kLaunch];
  const int waits = gpu_.calls[CudaCall::kSynchronize];
  gpu_.FailCall(CudaCall::kLaunch, 0, Error::kLaunchOutOfResources);
  EXPECT_FALSE(Run(*backend, cut, batch_, &outputs_).ok());
  EXPECT_EQ(gpu_.calls[CudaCall::kLaunch], launches + 1);
  EXPECT_EQ(gpu_.calls[CudaCall::kSynchronize], waits + 1);
}

TEST_F(CudaBackendTest, EveryAllocationOfALoadMayFail) {
  int allocations = 0;
  {
    const auto backend = Make();
    testing::LoadInto(*backend, package_);
    allocations = gpu_.calls[CudaCall::kAllocate];
  }
  for (int n = 0; n < allocations; ++n) {
    gpu_ = {};
    auto backend = Make();
    gpu_.FailCall(CudaCall::kAllocate, n, Error::kMemoryAllocation);
    const auto failed = backend->Load(package_);
    if (failed.ok()) {  // the memory for batches, which may be smaller
      EXPECT_EQ(n, allocations - 1);
      EXPECT_EQ(backend->info().limits.max_tokens, kLimits.max_tokens / 2);
    } else {
      EXPECT_EQ(failed.status().code(), absl::StatusCode::kResourceExhausted) << n;
    }
    const LoadedCut cut = testing::LoadInto(*backend, package_);
    EXPECT_EQ(testing::Outputs(*backend, cut, batch_), Expected(batch_));
    backend.reset();
    EXPECT_TRUE(gpu_.memory.empty());
  }
}

// Elastic variants: one copy of the weights, whatever is loaded first.
class ElasticTest : public CudaBackendTest, public ::testing::WithParamInterface<bool> {
 protected:
  static ModelPackage Whole() {
    ModelPackage package = testing::RandomModel(testing::EqualLayers(64, 4, 128, 3), 17);
    package.elastic = {
        .widths = {{.width = 1, .num_heads = 4, .ffn_dim = 128},
                   {.width = 0.5, .num_heads = 2, .ffn_dim = 64}},
        .depths = {{.depth = 1, .layers = {0, 1, 2}}, {.depth = 0.67, .layers = {0, 2}}}};
    return package;
  }
  static ModelPackage Part(const ModelPackage& whole) {
    ModelPackage part = whole;
    EXPECT_TRUE(CutSubNetwork({.width = 0.5, .depth = 0.67}, &part).ok());
    return part;
  }
};

TEST_P(ElasticTest, SubNetworksShareTheWeights) {
  const bool is_part_first = GetParam();
  const ModelPackage whole = Whole();
  const ModelPackage part = Part(whole);
  const Batch batch = testing::RandomBatch({40, 7, 60}, whole.config, 3);
  const auto reference = testing::Reference();
  const auto expected = [&](const ModelPackage& package) {
    return testing::Outputs(*reference, testing::LoadInto(*reference, package), batch);
  };

  size_t bytes_of_whole = 0;
  {
    const auto backend = Make();
    bytes_of_whole = testing::LoadInto(*backend, whole).packed_bytes;
  }
  const auto backend = Make();
  const LoadedCut first = testing::LoadInto(*backend, is_part_first ? part : whole);
  const LoadedCut second = testing::LoadInto(*backend, is_part_first ? whole : part);
  // Prefixes of biases are vectors of their own.
  EXPECT_LE(first.packed_bytes + second.packed_bytes, bytes_of_whole * 102 / 100);
  testing::ExpectNear(testing::Outputs(*backend, is_part_first ? first : second, batch),
                      expected(part), 1e-5, "part");
  testing::ExpectNear(testing::Outputs(*backend, is_part_first ? second : first, batch),
                      expected(whole), 1e-5, "whole");
}

INSTANTIATE_TEST_SUITE_P(Order, ElasticTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "PartFirst" : "WholeFirst"; });

}  // namespace
}  // namespace tailor::cuda
