// SPDX-License-Identifier: Apache-2.0
#include "engine/model/sentence_modules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/model/model_package.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::TempFolder;
using testing::WriteFile;

class SentenceModulesTest : public ::testing::Test {
 protected:
  void SetUp() override { testing::WriteTinyModel(temp_.path(), {.num_labels = 0}); }
  absl::StatusOr<SentenceModules> Read() {
    return ReadSentenceModules(*ModelFolder::Open(temp_.path(), temp_.path()));
  }
  std::string Problem() {
    const auto modules = Read();
    return modules.ok() ? "accepted" : std::string(modules.status().message());
  }
  void Pooling(const json& config) {
    WriteFile(temp_.path() / "1_Pooling/config.json", config.dump());
  }
  TempFolder temp_;
};

TEST_F(SentenceModulesTest, ReadsPoolingModes) {
  EXPECT_EQ(Read()->pooling, Pooling::kMean);
  EXPECT_TRUE(Read()->normalize);
  Pooling({{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", false}});
  EXPECT_EQ(Read()->pooling, Pooling::kCls);
  Pooling({{"pooling_mode", "cls"}});
  EXPECT_EQ(Read()->pooling, Pooling::kCls);
}

TEST_F(SentenceModulesTest, RefusesOtherPoolingAndModules) {
  Pooling({{"pooling_mode_max_tokens", true}});
  EXPECT_THAT(Problem(),
              HasSubstr("1_Pooling/config.json: pooling_mode_max_tokens: expected false"));
  Pooling({{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", true}});
  EXPECT_THAT(Problem(), HasSubstr("expected one of cls and mean pooling, got both"));
  WriteFile(temp_.path() / "modules.json", R"([{"type": "a.Transformer", "path": ""},
                                               {"type": "a.Dense", "path": "1_Dense"}])");
  EXPECT_THAT(Problem(), HasSubstr("modules.json: [1].type: expected Transformer, then Pooling"));
  WriteFile(temp_.path() / "modules.json", R"([{"type": "a.Transformer", "path": "../x"}])");
  EXPECT_THAT(Problem(), HasSubstr("modules.json: [0].path: expected a relative path"));
}

TEST_F(SentenceModulesTest, MaxSequenceLengthLimitsTheTask) {
  WriteFile(temp_.path() / "sentence_bert_config.json", R"({"max_seq_length": 20})");
  EXPECT_EQ(LoadModelPackage(temp_.path())->task.max_tokens, 20);
}

TEST_F(SentenceModulesTest, EncoderMayLieInASubFolder) {
  TempFolder old;
  testing::WriteTinyModel(old.path() / "0_Transformer", {.prefix = ""});
  std::filesystem::rename(temp_.path() / "1_Pooling", old.path() / "1_Pooling");
  WriteFile(old.path() / "modules.json", R"([{"type": "a.Transformer", "path": "0_Transformer"},
                                             {"type": "a.Pooling", "path": "1_Pooling"}])");
  // A classifier beside a pooling is neither fish nor fowl.
  EXPECT_THAT(std::string(LoadModelPackage(old.path()).status().message()),
              HasSubstr("classifier.bias: expected only tensors of this model"));
  testing::WriteTinyModel(old.path() / "0_Transformer", {.num_labels = 0, .prefix = ""});
  const auto package = LoadModelPackage(old.path());
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_FALSE(package->config.head.normalize);
}

}  // namespace
}  // namespace tailor
