// SPDX-License-Identifier: Apache-2.0
// Every form in which a bundle may hold a model, against a plain folder that means the same, on the
// reference and on the CPU engine.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/family_folder.h"
#include "engine/model/product_weights.h"
#include "tests/parity/engine/parity.h"
#include "tests/parity/engine/random_model.h"
#include "tests/testing/stored_forms.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

using nlohmann::json;
using testing::StoredTensor;
using testing::TensorMap;
using testing::TinyModelOptions;

const TinyModelOptions kBig = {.id = "big", .num_layers = 3};
constexpr size_t kHeads = 4;
constexpr size_t kHeadDim = 8;
constexpr size_t kNeurons = 64;
constexpr const char* kProducts[] = {"attention.self.query", "attention.self.key",
                                     "attention.self.value", "attention.output.dense",
                                     "intermediate.dense",   "output.dense"};

std::string LayerName(int layer, const std::string& product) {
  return "bert.encoder.layer." + std::to_string(layer) + "." + product;
}

// `count` ones, then zeros.
std::vector<float> Prefix(size_t count, size_t size) {
  std::vector<float> mask(size, 0.0F);
  std::fill_n(mask.begin(), count, 1.0F);
  return mask;
}

// Each value `times` times.
std::vector<float> Repeat(const std::vector<float>& values, size_t times) {
  std::vector<float> repeated;
  for (const float value : values) repeated.insert(repeated.end(), times, value);
  return repeated;
}

class BundleFormsTest : public ::testing::Test {
 protected:
  std::filesystem::path Folder(const std::string& id) const { return temp_.path() / id; }

  // A folder of kBig's shape with other tensors.
  void Write(const std::string& id, const TensorMap& tensors, const json& more = json::object()) {
    TinyModelOptions options = kBig;
    options.id = id;
    testing::WriteTinyModel(Folder(id), options);
    testing::WriteWeights(Folder(id), tensors, false);
    json manifest = testing::TinyManifest(options);
    manifest.update(more);
    testing::WriteFile(Folder(id) / "variant.json", manifest.dump());
  }

  void WriteElastic() {
    const json elastic = {
        {"widths",
         {{{"width", 1.0}, {"heads", 4}, {"ffn_dim", 64}},
          {{"width", 0.5}, {"heads", 2}, {"ffn_dim", 24}}}},
        {"depths",
         {{{"depth", 1.0}, {"layers", {0, 1, 2}}}, {{"depth", 0.67}, {"layers", {0, 2}}}}}};
    Write("big", testing::TinyTensors(kBig), {{"elastic", elastic}});
  }

  void WriteMasked(const std::string& id, const std::vector<std::vector<float>>& heads,
                   const std::vector<std::vector<float>>& neurons) {
    testing::WriteDerived(Folder(id), id, "tiny",
                          {{"parent", "big"}, {"masks", "masks.safetensors"}});
    testing::WriteMasks(Folder(id), heads, neurons);
  }

  // What the masks mean, in a folder of the whole shape: factors in the columns.
  void WriteScaled(const std::string& id, const std::vector<std::vector<float>>& heads,
                   const std::vector<std::vector<float>>& neurons) {
    TensorMap tensors = testing::TinyTensors(kBig);
    for (int layer = 0; layer < kBig.num_layers; ++layer) {
      testing::ScaleColumns(LayerName(layer, "attention.output.dense"),
                            Repeat(heads[static_cast<size_t>(layer)], kHeadDim), &tensors);
      testing::ScaleColumns(LayerName(layer, "output.dense"), neurons[static_cast<size_t>(layer)],
                            &tensors);
    }
    Write(id, tensors);
  }

  const ModelPackage& Variant(const std::string& id) {
    if (family_.variants.empty()) {
      auto family = LoadFamilyFolder(temp_.path());
      EXPECT_TRUE(family.ok()) << family.status();
      family_ = *std::move(family);
      for (const VariantProblem& problem : family_.problems) {
        ADD_FAILURE() << problem.name << ": " << problem.status;
      }
    }
    for (const ModelPackage& variant : family_.variants) {
      if (variant.id == id) return variant;
    }
    ADD_FAILURE() << "no variant " << id;
    return family_.variants.front();
  }

  // Both engines give for `id` what the reference gives for `same`.
  void ExpectSame(const std::string& id, const std::string& same, double bound) {
    ExpectSame(id, same, bound, bound);
  }
  void ExpectSame(const std::string& id, const std::string& same, double reference_bound,
                  double bound) {
    const ModelPackage& actual = Variant(id);
    const ModelPackage& expected = Variant(same);
    const Batch batch = testing::RandomBatch({1, 9, 33, 64}, expected.config, 7);
    const std::unique_ptr<Backend> reference = testing::Reference();
    const std::vector<float> outputs =
        testing::Outputs(*reference, testing::LoadInto(*reference, expected), batch);
    testing::ExpectNear(testing::Outputs(*reference, testing::LoadInto(*reference, actual), batch),
                        outputs, reference_bound, id + " on reference");
    const std::unique_ptr<Backend> cpu = testing::Cpu(2);
    testing::ExpectNear(testing::Outputs(*cpu, testing::LoadInto(*cpu, actual), batch), outputs,
                        bound, id + " on cpu");
  }

  testing::TempFolder temp_;
  FamilyFolder family_;
};

TEST_F(BundleFormsTest, SubNetworkEqualsTheMaskedParent) {
  WriteElastic();
  const std::vector<std::vector<float>> heads(3, Prefix(2, kHeads));
  const std::vector<std::vector<float>> neurons(3, Prefix(24, kNeurons));
  testing::WriteDerived(Folder("half"), "half", "tiny",
                        {{"parent", "big"}, {"sub_network", {{"width", 0.5}, {"depth", 1.0}}}});
  WriteMasked("masked", heads, neurons);
  WriteScaled("scaled", heads, neurons);
  EXPECT_EQ(Variant("half").config.layers[2].num_heads, 2);
  EXPECT_EQ(Variant("half").config.layers[2].ffn_dim, 24);
  ExpectSame("half", "scaled", 1e-5);
  ExpectSame("masked", "scaled", 1e-5);
}

TEST_F(BundleFormsTest, DepthTakesTheListedLayers) {
  WriteElastic();
  testing::WriteDerived(Folder("shallow"), "shallow", "tiny",
                        {{"parent", "big"}, {"sub_network", {{"width", 1.0}, {"depth", 0.67}}}});
  // Layers 0 and 2 of big, as a folder of their own.
  TensorMap tensors = testing::TinyTensors(kBig);
  std::erase_if(tensors, [](const auto& t) { return t.first.starts_with(LayerName(1, "")); });
  const json layers = {{{"attn", 0}, {"ffn", 0}}, {{"attn", 2}, {"ffn", 2}}};
  Write("two-layers", tensors, {{"layers", layers}});
  EXPECT_EQ(Variant("shallow").config.layers.size(), 2u);
  EXPECT_EQ(Variant("shallow").num_parameters, Variant("two-layers").num_parameters);
  // The same layers from the same weights: not a bit may differ where the order of sums is one.
  ExpectSame("shallow", "two-layers", /*reference_bound=*/0, 1e-5);
}

TEST_F(BundleFormsTest, SubNetworkIsAViewOfTheParent) {
  WriteElastic();
  testing::WriteDerived(
      Folder("half"), "half", "tiny",
      {{"parent", "big"}, {"sub_network", {{"width", 0.5}, {"depth", 0.67}}}, {"format", "int8"}});
  const ModelPackage& half = Variant("half");
  const ModelPackage& big = Variant("big");
  EXPECT_EQ(half.storage, big.storage);
  EXPECT_EQ(half.derived_storage, nullptr);
  EXPECT_EQ(half.weights.attention[1].query.weight.data,
            big.weights.attention[2].query.weight.data);
  EXPECT_EQ(half.weights.attention[1].output.weight.data,
            big.weights.attention[2].output.weight.data);
  EXPECT_EQ(half.weights.ffn[1].out.weight.data, big.weights.ffn[2].out.weight.data);
  EXPECT_EQ(half.format, WeightFormat::kInt8);
  EXPECT_FALSE(half.elastic.has_value());
  EXPECT_LT(half.num_parameters, big.num_parameters);
}

// On tiles a sub-network reads its part of the panels that the whole has; without them the word
// vectors are still one table.
TEST_F(BundleFormsTest, SubNetworksShareThePackedWeightsOfTheParent) {
  WriteElastic();
  const std::vector<std::pair<double, double>> names = {{0.5, 1.0}, {1.0, 0.67}, {0.5, 0.67}};
  std::vector<std::string> ids;
  for (const auto& [width, depth] : names) {
    ids.push_back("cut-" + std::to_string(ids.size()));
    testing::WriteDerived(
        Folder(ids.back()), ids.back(), "tiny",
        {{"parent", "big"}, {"sub_network", {{"width", width}, {"depth", depth}}}});
  }
  const std::unique_ptr<Backend> shared = testing::Cpu(2);
  const LoadedCut big = testing::LoadInto(*shared, Variant("big"));
  const size_t words = sizeof(float) * Variant("big").weights.word_embeddings.num_elements();
  for (const std::string& id : ids) {
    const std::unique_ptr<Backend> alone = testing::Cpu(2);
    const LoadedCut own = testing::LoadInto(*alone, Variant(id));
    const LoadedCut view = testing::LoadInto(*shared, Variant(id));
    EXPECT_LE(view.packed_bytes + words, own.packed_bytes) << id;
    if (shared->info().isa == "amx") {
      EXPECT_LT(view.packed_bytes, big.packed_bytes / 5) << id;
    }
    const Batch batch = testing::RandomBatch({1, 9, 33, 64}, Variant(id).config, 7);
    EXPECT_EQ(testing::Outputs(*shared, view, batch), testing::Outputs(*alone, own, batch)) << id;
  }
}

TEST_F(BundleFormsTest, MasksAreFoldedAndCut) {
  Write("big", testing::TinyTensors(kBig));
  std::vector<std::vector<float>> heads = {{0.5F, 0, 1.5F, 1}, {1, 1, 1, 1}, {0, 0, -2, 0}};
  std::vector<std::vector<float>> neurons(3, std::vector<float>(kNeurons, 1));
  for (size_t i = 0; i < kNeurons; ++i) neurons[0][i] = static_cast<float>(i % 3);
  WriteMasked("masked", heads, neurons);
  WriteScaled("scaled", heads, neurons);
  const ModelPackage& masked = Variant("masked");
  const ModelPackage& big = Variant("big");
  EXPECT_EQ(masked.config.layers[0].num_heads, 3);
  EXPECT_EQ(masked.config.layers[0].ffn_dim, 42);
  EXPECT_EQ(masked.config.layers[2].num_heads, 1);
  EXPECT_EQ(masked.storage, big.storage);
  EXPECT_NE(masked.derived_storage, nullptr);
  EXPECT_EQ(masked.weights.word_embeddings.data, big.weights.word_embeddings.data);
  EXPECT_EQ(masked.weights.attention[1].query.weight.data,
            big.weights.attention[1].query.weight.data);
  ExpectSame("masked", "scaled", 1e-5);
}

TEST_F(BundleFormsTest, LayersMayLoseAllHeadsAndNeurons) {
  Write("big", testing::TinyTensors(kBig));
  const std::vector<float> no_heads(kHeads, 0);
  const std::vector<float> no_neurons(kNeurons, 0);
  const std::vector<std::vector<float>> heads = {no_heads, Prefix(1, kHeads), no_heads};
  const std::vector<std::vector<float>> neurons = {Prefix(5, kNeurons), no_neurons, no_neurons};
  WriteMasked("hollow", heads, neurons);
  WriteScaled("scaled", heads, neurons);
  EXPECT_EQ(Variant("hollow").config.layers[2].num_heads, 0);
  EXPECT_EQ(Variant("hollow").config.layers[2].ffn_dim, 0);
  ExpectSame("hollow", "scaled", 1e-5);
}

TEST_F(BundleFormsTest, StoredCodesMeanTheirDequantisedWeights) {
  TensorMap codes = testing::TinyTensors(kBig);
  TensorMap dense = codes;
  for (int layer = 0; layer < kBig.num_layers; ++layer) {
    for (const char* product : kProducts) {
      if (layer == 1 && product == kProducts[5]) continue;  // one stays a float
      const std::string name = LayerName(layer, product);
      dense[name + ".weight"] = testing::StoreCodes(name, std::nullopt, &codes);
    }
  }
  Write("codes", codes, {{"activations", {{"mode", "dynamic"}, {"bits", 8}}}});
  Write("dense", dense);
  testing::WriteDerived(Folder("float"), "float", "tiny", {{"parent", "codes"}, {"format", "f32"}});
  const ModelPackage& stored = Variant("codes");
  EXPECT_EQ(CountInt8(stored).int8, 17);
  EXPECT_EQ(MainFormat(stored), WeightFormat::kInt8);
  EXPECT_EQ(DenseWeights(stored.weights.ffn[0].in),
            ToF32(Variant("dense").weights.ffn[0].in.weight));
  EXPECT_EQ(CountInt8(Variant("float")).int8, 0);
  ExpectSame("float", "dense", 1e-5);
  // Inputs rounded to 8 bits on top: a hundredth of outputs of the order of 1.
  ExpectSame("codes", "dense", 0.05);
}

TEST_F(BundleFormsTest, SubNetworkOfStoredCodes) {
  TensorMap codes = testing::TinyTensors(kBig);
  TensorMap dense = codes;
  for (int layer = 0; layer < kBig.num_layers; ++layer) {
    for (const char* product : kProducts) {
      const std::string name = LayerName(layer, product);
      dense[name + ".weight"] = testing::StoreCodes(name, std::nullopt, &codes);
    }
  }
  const json elastic = {{"widths", {{{"width", 0.5}, {"heads", 2}, {"ffn_dim", 24}}}},
                        {"depths", {{{"depth", 1.0}, {"layers", {0, 1, 2}}}}}};
  Write("codes", codes, {{"elastic", elastic}});
  Write("dense", dense, {{"elastic", elastic}});
  const json half = {{"width", 0.5}, {"depth", 1.0}};
  for (const std::string parent : {"codes", "dense"}) {
    testing::WriteDerived(Folder(parent + "-half"), parent + "-half", "tiny",
                          {{"parent", parent}, {"sub_network", half}});
  }
  testing::WriteDerived(Folder("float-half"), "float-half", "tiny",
                        {{"parent", "codes"}, {"sub_network", half}, {"format", "f32"}});
  EXPECT_EQ(Variant("codes-half").weights.ffn[0].in.weight_scale.dim(0), 24);
  ExpectSame("float-half", "dense-half", 1e-5);
  ExpectSame("codes-half", "dense-half", 0.05);
}

TEST_F(BundleFormsTest, StaticInputScalesAreRead) {
  TensorMap codes = testing::TinyTensors(kBig);
  testing::StoreCodes(LayerName(0, "output.dense"), 0.125F, &codes);
  Write("codes", codes, {{"activations", {{"mode", "static"}, {"bits", 8}}}});
  EXPECT_EQ(Variant("codes").weights.ffn[0].out.input_scale, 0.125F);
  EXPECT_EQ(Variant("codes").weights.ffn[0].in.input_scale, 0.0F);
  EXPECT_EQ(MainFormat(Variant("codes")), WeightFormat::kF32);
}

TEST_F(BundleFormsTest, BitmaskMeansTheDenseMatrix) {
  TensorMap pruned = testing::TinyTensors(kBig);
  TensorMap dense = pruned;
  for (const char* product : kProducts) {
    const std::string name = LayerName(1, product);
    dense[name + ".weight"] = testing::StoreBitmask(name, 3, &pruned);
  }
  Write("pruned", pruned);
  Write("dense", dense);
  EXPECT_EQ(ToF32(Variant("pruned").weights.ffn[1].out.weight),
            ToF32(Variant("dense").weights.ffn[1].out.weight));
  EXPECT_EQ(Variant("pruned").num_parameters, Variant("dense").num_parameters);
  EXPECT_LT(Variant("pruned").weight_bytes, Variant("dense").weight_bytes);
  ExpectSame("pruned", "dense", 1e-5);
}

TEST_F(BundleFormsTest, CodedWordEmbeddingsAreFloatsOnceLoaded) {
  TensorMap codes = testing::TinyTensors(kBig);
  TensorMap dense = codes;
  const std::string name = "bert.embeddings.word_embeddings";
  dense[name + ".weight"] = testing::StoreCodes(name, std::nullopt, &codes);
  Write("codes", codes);
  Write("dense", dense);
  EXPECT_EQ(ToF32(Variant("codes").weights.word_embeddings),
            ToF32(Variant("dense").weights.word_embeddings));
}

TEST_F(BundleFormsTest, NarrowWordEmbeddingsAreFolded) {
  const auto words = static_cast<int64_t>(testing::TinyVocabulary().size());
  constexpr int64_t kWidth = 6;
  constexpr int64_t kHidden = 32;
  std::vector<float> narrow(static_cast<size_t>(words * kWidth));
  std::vector<float> map(static_cast<size_t>(kHidden * kWidth));
  std::vector<float> bias(static_cast<size_t>(kHidden));
  for (size_t i = 0; i < narrow.size(); ++i) narrow[i] = std::sin(static_cast<float>(i));
  for (size_t i = 0; i < map.size(); ++i) map[i] = std::cos(static_cast<float>(i) * 0.7F);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i) / 64;
  std::vector<float> folded;
  for (size_t word = 0; word < static_cast<size_t>(words); ++word) {
    for (size_t h = 0; h < kHidden; ++h) {
      double sum = bias[h];
      for (size_t i = 0; i < kWidth; ++i) {
        sum += static_cast<double>(narrow[word * kWidth + i]) * map[h * kWidth + i];
      }
      folded.push_back(static_cast<float>(sum));
    }
  }
  TensorMap tensors = testing::TinyTensors(kBig);
  tensors["bert.embeddings.word_embeddings.weight"] =
      testing::MakeTensor(DType::kF32, {words, kHidden}, folded);
  Write("folded", tensors);
  tensors["bert.embeddings.word_embeddings.weight"] =
      testing::MakeTensor(DType::kF32, {words, kWidth}, narrow);
  const std::string mapping = "bert.encoder.embedding_hidden_mapping_in";
  tensors[mapping + ".weight"] = testing::MakeTensor(DType::kF32, {kHidden, kWidth}, map);
  tensors[mapping + ".bias"] = testing::MakeTensor(DType::kF32, {kHidden}, bias);
  Write("narrow", tensors,
        {{"arch", {{"embedding", kWidth}, {"embed_map", {{"kind", "linear"}}}}}});
  ExpectSame("narrow", "folded", 1e-5);
  EXPECT_LT(Variant("narrow").num_parameters, Variant("folded").num_parameters);
}

TEST_F(BundleFormsTest, F16RoundsTheProductsOnly) {
  Write("big", testing::TinyTensors(kBig));
  testing::WriteDerived(Folder("half"), "half", "tiny", {{"parent", "big"}, {"format", "f16"}});
  TensorMap rounded = testing::TinyTensors(kBig);
  for (int layer = 0; layer < kBig.num_layers; ++layer) {
    for (const char* product : kProducts) {
      StoredTensor& weight = rounded.at(LayerName(layer, product) + ".weight");
      weight = testing::MakeTensor(DType::kF16, weight.shape, testing::ValuesOf(weight));
    }
  }
  Write("rounded", rounded);
  EXPECT_EQ(Variant("half").storage, Variant("big").storage);
  ExpectSame("half", "rounded", 1e-5);
}

}  // namespace
}  // namespace tailor
