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
  EXPECT_TRUE(manifest->arch.has_embedding_map);
  EXPECT_EQ(manifest->activations, InputScales::kStatic);
  ASSERT_TRUE(manifest->elastic.has_value());
  EXPECT_EQ(manifest->elastic->widths[1].ffn_dim, 768);
  EXPECT_EQ(manifest->elastic->depths[0].layers, (std::vector<int>{0}));
  ASSERT_TRUE(manifest->reference.has_value());
  EXPECT_EQ(manifest->reference->scores, (std::vector<float>{1.5F, -2}));
  EXPECT_EQ(manifest->reference->tolerance, 0.01);
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
        "/layers/0/x", "/files/0/x", "/elastic/x", "/elastic/widths/0/x", "/elastic/depths/0/x",
        "/activations/x", "/reference/x", "/arch/embed_map/x", "/quality/x", "/params/x"}) {
    EXPECT_THAT(Problem(pointer, 1), HasSubstr("expected a known key, got \"x\"")) << pointer;
  }
  EXPECT_EQ(Problem("/method/0/params/x", 1), "accepted");
  EXPECT_THAT(Problem("/derive", {{"parnt", "a"}}), HasSubstr("nearest: \"parent\""));
}

TEST(ParseVariantManifestTest, DerivedVariantHasNoShapeOfItsOwn) {
  EXPECT_THAT(Problem("/derive", {{"parent", "a"}, {"format", "bf16"}}),
              HasSubstr("variant.json: arch: expected nothing beside \"derive\", got an object"));
}

json Derive(const json& derive) {
  return {{"schema_version", 1}, {"id", "a"}, {"family", "f"}, {"derive", derive}};
}

TEST(ParseVariantManifestTest, ReadsEveryStepOfADerivedVariant) {
  const auto half = ParseVariantManifest(
      Derive({{"parent", "big"}, {"sub_network", {{"width", 0.5}, {"depth", 0.67}}}}));
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_EQ(half->derive->sub_network->width, 0.5);
  EXPECT_EQ(half->derive->sub_network->depth, 0.67);
  EXPECT_FALSE(half->derive->format.has_value());
  const auto masked = ParseVariantManifest(
      Derive({{"parent", "big"}, {"masks", "masks.safetensors"}, {"format", "int8"}}));
  ASSERT_TRUE(masked.ok()) << masked.status();
  EXPECT_EQ(masked->derive->masks, "masks.safetensors");
  EXPECT_EQ(masked->derive->format, WeightFormat::kInt8);
}

TEST(ParseVariantManifestTest, RefusesStepsThatMeanNothing) {
  const json half = {{"width", 0.5}, {"depth", 1.0}};
  for (const auto& [derive, text] : std::vector<std::pair<json, const char*>>{
           {{{"parent", "a"}}, "derive.format: expected a value"},
           {{{"parent", "a"}, {"masks", "../m.safetensors"}}, "derive.masks: expected a relative"},
           {{{"parent", "a"}, {"masks", "masks.bin"}}, "derive.masks: expected a relative"},
           {{{"parent", "a"}, {"masks", "m.safetensors"}, {"sub_network", half}},
            "derive.masks: expected nothing beside \"sub_network\""},
           {{{"parent", "a"}, {"sub_network", {{"width", 0.5}}}},
            "derive.sub_network.depth: expected a value"},
           {{{"parent", "a"}, {"sub_network", {{"width", 0}, {"depth", 1}}}},
            "derive.sub_network.width: expected a share above 0"},
           {{{"parent", "a"}, {"sub_network", {{"widht", 0.5}, {"depth", 1}}}},
            "nearest: \"width\""}}) {
    EXPECT_THAT(std::string(ParseVariantManifest(Derive(derive)).status().message()),
                HasSubstr(text));
  }
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
           {"/arch/embed_map/kind", "mlp"},
           {"/elastic/widths/0/width", 0},
           {"/elastic/widths/0/heads", 0},
           {"/elastic/widths/1/width", 1.0},
           {"/elastic/widths", json::array()},
           {"/elastic/depths/0/layers", {1, 0}},
           {"/elastic/depths/0/layers", {-1}},
           {"/elastic/depths/0/layers", json::array()},
           {"/activations/mode", "sometimes"},
           {"/activations/bits", 4},
           {"/reference/inputs_file", "../pairs"},
           {"/reference/sha256", "x"},
           {"/reference/scores", json::array()},
           {"/reference/scores", {1.0, "2"}},
           {"/reference/tolerance", -1},
           {"/parents/0/role", "Uncle"},
           {"/quality/ndcg10", 1.5},
           {"/quality/ci95", {0.9, 0.95}},
           {"/quality/ci95", {0.9}},
           {"/derive", {{"parent", "a"}, {"format", "int4"}}}}) {
    EXPECT_THAT(Problem(pointer, value), HasSubstr(": expected ")) << pointer << " " << value;
  }
}

}  // namespace
}  // namespace tailor
