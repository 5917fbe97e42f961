// SPDX-License-Identifier: Apache-2.0
#include "engine/model/variant_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace tailor {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// One with every key; the fuzz target's corpus holds it.
json Full() {
  std::ifstream file("tests/fuzz/model/corpus/variant_manifest/full");
  return json::parse(file);
}

std::string Problem(const char* pointer, const json& value) {
  json manifest = Full();
  manifest[json::json_pointer(pointer)] = value;
  const auto parsed = ParseVariantManifest(manifest);
  return parsed.ok() ? "accepted" : std::string(parsed.status().message());
}

TEST(ParseVariantManifestTest, ReadsEveryKey) {
  const auto manifest = ParseVariantManifest(Full());
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->id, "teacher-6x384");
  EXPECT_EQ(manifest->family, "packages");
  EXPECT_EQ(manifest->task.kind, TaskKind::kRelevance);
  EXPECT_EQ(manifest->task.activation, OutputActivation::kNone);
  EXPECT_EQ(manifest->task.max_tokens, 128);
  EXPECT_EQ(manifest->tokenizer.vocab_size, 10);
  EXPECT_EQ(manifest->arch.pooler, PoolerActivation::kTanh);
  ASSERT_EQ(manifest->layers.size(), 1u);
  EXPECT_EQ(manifest->layers[0].num_heads, 12);
  EXPECT_EQ(manifest->layers[0].ffn_dim, 1536);
  ASSERT_EQ(manifest->files.size(), 1u);
  EXPECT_EQ(manifest->files[0].bytes, 12u);
  EXPECT_EQ(manifest->quality->ci_high, 0.9);
  EXPECT_FALSE(manifest->derive.has_value());
}

TEST(ParseVariantManifestTest, NeedsOnlyThreeKeys) {
  EXPECT_TRUE(ParseVariantManifest(json{{"schema_version", 1}, {"id", "a"}, {"family", "f"}}).ok());
  EXPECT_THAT(
      std::string(
          ParseVariantManifest(json{{"schema_version", 1}, {"id", "a"}}).status().message()),
      HasSubstr("variant.json: family: expected a value, got nothing"));
}

TEST(ParseVariantManifestTest, RefusesUnknownKeysAtEveryLevel) {
  for (const char* pointer :
       {"/x", "/parents/0/x", "/method/0/x", "/task/x", "/tokenizer/x", "/arch/x", "/arch/pooler/x",
        "/layers/0/x", "/files/0/x", "/quality/x", "/params/x"}) {
    EXPECT_THAT(Problem(pointer, 1), HasSubstr("expected a known key, got \"x\"")) << pointer;
  }
  EXPECT_EQ(Problem("/method/0/params/x", 1), "accepted");
  EXPECT_THAT(Problem("/derive", {{"parnt", "a"}}), HasSubstr("nearest: \"parent\""));
}

TEST(ParseVariantManifestTest, DerivedVariantHasNoShapeOfItsOwn) {
  EXPECT_THAT(Problem("/derive", {{"parent", "a"}, {"format", "bf16"}}),
              HasSubstr("variant.json: arch: expected nothing beside \"derive\", got an object"));
}

TEST(ParseVariantManifestTest, RefusesValuesOutOfRange) {
  for (const auto& [pointer, value] : std::vector<std::pair<const char*, json>>{
           {"/id", "Upper"},
           {"/id", ".hidden"},
           {"/id", "a/b"},
           {"/id", std::string(65, 'a')},
           {"/family", ""},
           {"/task/kind", "ranking"},
           {"/task/max_len", 0},
           {"/task/truncation", "only_first"},
           {"/task/pair_template", "[CLS] document [SEP]"},
           {"/tokenizer/type", "bpe"},
           {"/tokenizer/sha256", "ABC"},
           {"/tokenizer/files", {"../vocab.txt"}},
           {"/arch/kind", "albert"},
           {"/arch/norm", "rmsnorm"},
           {"/arch/position", "rope"},
           {"/layers/0/heads", -1},
           {"/layers/0/ffn_dim", -5},
           {"/parents/0/role", "uncle"},
           {"/quality/ndcg10", 1.5},
           {"/quality/ci95", {0.9, 0.95}},
           {"/quality/ci95", {0.9}},
           {"/derive", {{"parent", "a"}, {"format", "int4"}}}}) {
    EXPECT_THAT(Problem(pointer, value), HasSubstr(": expected ")) << pointer << " " << value;
  }
}

}  // namespace
}  // namespace tailor
