// SPDX-License-Identifier: Apache-2.0
#include "engine/linear/linear_backend.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "engine/reference/reference_backend.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_linear.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;

constexpr BatchLimits kLimits = {
    .max_tokens = 1024, .max_sequences = 32, .max_sequence_tokens = 64};

std::unique_ptr<Backend> MakeBackend() {
  return WithLinearVariants(CreateReferenceBackend(kLimits));
}

std::vector<float> Outputs(Backend* backend, Cut cut, const Batch& batch) {
  std::vector<float> outputs(batch.num_sequences());
  const absl::Status status = backend->Run(cut, batch, outputs);
  EXPECT_TRUE(status.ok()) << status;
  return outputs;
}

struct Golden {
  Batch batch;
  std::vector<float> scores;
};

Golden ReadGolden() {
  std::ifstream file("tests/golden/linear/golden.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  Golden result;
  for (const nlohmann::json& sequence : golden.at("sequences")) {
    result.batch.Append(sequence.at("token_ids").get<std::vector<int32_t>>(),
                        sequence.at("token_type_ids").get<std::vector<int32_t>>());
  }
  for (const nlohmann::json& row : golden.at("outputs")) result.scores.push_back(row.at(0));
  return result;
}

TEST(LinearBackend, ScoresAreThoseOfTheReferenceInPython) {
  const Golden golden = ReadGolden();
  const auto package = LoadModelPackage("tests/golden/linear/model");
  ASSERT_TRUE(package.ok()) << package.status();
  const auto backend = MakeBackend();
  const auto loaded = backend->Load(*package);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->num_outputs, 1);
  // Twice: nothing of one pair may stay for the next.
  for (int round = 0; round < 2; ++round) {
    const std::vector<float> outputs = Outputs(backend.get(), loaded->cut, golden.batch);
    for (size_t i = 0; i < outputs.size(); ++i) {
      EXPECT_NEAR(outputs[i], golden.scores[i], 1e-5) << "sequence " << i;
    }
  }
}

TEST(LinearBackend, APairScoresAloneAsInAnyBatch) {
  const Golden golden = ReadGolden();
  const auto package = LoadModelPackage("tests/golden/linear/model");
  ASSERT_TRUE(package.ok()) << package.status();
  const auto backend = MakeBackend();
  const LoadedCut loaded = backend->Load(*package).value();
  const std::vector<float> together = Outputs(backend.get(), loaded.cut, golden.batch);
  for (int i = golden.batch.num_sequences() - 1; i >= 0; --i) {
    const size_t first = golden.batch.sequence_offsets[i];
    const size_t tokens = golden.batch.sequence_tokens(i);
    Batch alone;
    alone.Append(std::span(golden.batch.token_ids).subspan(first, tokens),
                 std::span(golden.batch.token_type_ids).subspan(first, tokens));
    EXPECT_EQ(Outputs(backend.get(), loaded.cut, alone)[0], together[i]) << "sequence " << i;
  }
}

class MixedFamilyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const int seed : {1, 2}) {
      testing::TinyModelOptions options;
      options.id = "encoder";
      options.seed = static_cast<uint64_t>(seed);
      testing::WriteTinyModel(folder_.path() / options.id, options);
      encoders_.push_back(LoadModelPackage(folder_.path() / options.id).value());
    }
    testing::WriteTinyLinear(folder_.path() / "linear", {});
    linear_ = LoadModelPackage(folder_.path() / "linear").value();
    batch_.Append(std::vector<int32_t>{2, 40, 41, 3, 42, 41, 40, 3},
                  std::vector<int32_t>{0, 0, 0, 0, 1, 1, 1, 1});
    batch_.Append(std::vector<int32_t>{2, 50, 3, 51, 3}, std::vector<int32_t>{0, 0, 0, 1, 1});
  }

  testing::TempFolder folder_;
  std::vector<ModelPackage> encoders_;
  ModelPackage linear_;
  Batch batch_;
};

TEST_F(MixedFamilyTest, EachCutRunsItsOwnVariant) {
  const auto backend = MakeBackend();
  const LoadedCut first = backend->Load(encoders_[0]).value();
  const LoadedCut linear = backend->Load(linear_).value();
  const LoadedCut second = backend->Load(encoders_[1]).value();
  EXPECT_EQ(first.cut.variant, 0);
  EXPECT_EQ(linear.cut.variant, 1);
  EXPECT_EQ(second.cut.variant, 2);
  const auto alone = CreateReferenceBackend(kLimits);
  for (const auto& [cut, package] : {std::pair(first, &encoders_[0]), {second, &encoders_[1]}}) {
    const LoadedCut own = alone->Load(*package).value();
    EXPECT_EQ(Outputs(backend.get(), cut.cut, batch_), Outputs(alone.get(), own.cut, batch_));
  }
  const auto only_linear = MakeBackend();
  const LoadedCut own = only_linear->Load(linear_).value();
  EXPECT_EQ(Outputs(backend.get(), linear.cut, batch_),
            Outputs(only_linear.get(), own.cut, batch_));
}

TEST_F(MixedFamilyTest, AWrongCallIsRefused) {
  const auto backend = MakeBackend();
  const LoadedCut loaded = backend->Load(linear_).value();
  std::vector<float> outputs(2);
  const auto problem = [&](Cut cut, const Batch& batch) {
    return std::string(backend->Run(cut, batch, outputs).message());
  };
  EXPECT_THAT(problem({.variant = 1}, batch_), HasSubstr("expected a variant below 1, got 1"));
  EXPECT_THAT(problem({.variant = 0, .sub_network = 1}, batch_), HasSubstr("sub-network 0"));
  Batch unknown = batch_;
  unknown.token_ids[1] = linear_.config.vocab_size;
  EXPECT_THAT(problem(loaded.cut, unknown), HasSubstr("token_ids[1]: expected"));
  Batch segments = batch_;
  segments.token_type_ids[1] = 2;
  EXPECT_THAT(problem(loaded.cut, segments), HasSubstr("token_type_ids[1]: expected"));
  outputs.resize(3);
  EXPECT_THAT(problem(loaded.cut, batch_), HasSubstr("outputs: expected 2 values, got 3"));
}

}  // namespace
}  // namespace tailor
