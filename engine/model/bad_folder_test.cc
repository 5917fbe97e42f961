// SPDX-License-Identifier: Apache-2.0
// One broken folder after the other: each is refused in one line that says what was expected and
// what came.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "engine/model/model_package.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/stored_forms.h"
#include "tests/testing/temp_folder.h"
#include "tests/testing/tiny_model.h"

namespace tailor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using testing::StoredTensor;
using testing::TempFolder;
using testing::TensorMap;
using testing::TinyModelOptions;
using testing::WriteFile;

const TinyModelOptions kGood = {.id = "good"};
constexpr const char* kProduct = "bert.encoder.layer.0.output.dense";
constexpr const char* kQuery = "bert.encoder.layer.0.attention.self.query.weight";

std::string Problem(const fs::path& folder) {
  const auto package = LoadModelPackage(folder);
  return package.ok() ? "accepted" : std::string(package.status().message());
}

struct Breakage {
  const char* name;
  std::function<void(const fs::path&)> apply;
  const char* message;
};

class BadFolderTest : public ::testing::TestWithParam<Breakage> {};

TEST_P(BadFolderTest, IsRefusedInOneLine) {
  TempFolder temp;
  const fs::path folder = temp.path() / "variant";
  testing::WriteTinyModel(folder, kGood);
  ASSERT_EQ(Problem(folder), "accepted");
  GetParam().apply(folder);
  const std::string problem = Problem(folder);
  EXPECT_THAT(problem, HasSubstr(GetParam().message));
  EXPECT_EQ(problem.find('\n'), std::string::npos);
}

std::function<void(const fs::path&)> Weights(const std::function<void(TensorMap*)>& change) {
  return [change](const fs::path& folder) {
    TensorMap tensors = testing::TinyTensors(kGood);
    change(&tensors);
    testing::WriteWeights(folder, tensors, false);
  };
}

std::function<void(const fs::path&)> Manifest(const std::function<void(json*)>& change) {
  return [change](const fs::path& folder) {
    json manifest = testing::TinyManifest(kGood);
    change(&manifest);
    WriteFile(folder / "variant.json", manifest.dump());
  };
}

std::function<void(const fs::path&)> Config(const std::function<void(json*)>& change) {
  return [change](const fs::path& folder) {
    json config = testing::TinyConfig(kGood);
    change(&config);
    WriteFile(folder / "config.json", config.dump());
  };
}

std::function<void(const fs::path&)> Text(const std::string& file, const std::string& content) {
  return [file, content](const fs::path& folder) { WriteFile(folder / file, content); };
}

std::function<void(const fs::path&)> Without(const std::string& file) {
  return [file](const fs::path& folder) { fs::remove(folder / file); };
}

void PutNumber(TensorMap* tensors, const std::string& name, DType dtype, float number) {
  StoredTensor& tensor = tensors->at(name);
  int64_t count = 1;
  for (const int64_t dim : tensor.shape) count *= dim;
  std::vector<float> values(static_cast<size_t>(count), 0.0F);
  values.back() = number;
  tensor = testing::MakeTensor(dtype, tensor.shape, values);
}

std::vector<Breakage> WeightBreakages() {
  return {
      {"TruncatedFile",
       [](const fs::path& folder) {
         const fs::path file = folder / "model.safetensors";
         fs::resize_file(file, fs::file_size(file) - 100);
       },
       "model.safetensors: "},
      {"NaN", Weights([](TensorMap* t) { PutNumber(t, kQuery, DType::kF32, std::nanf("")); }),
       "model.safetensors: bert.encoder.layer.0.attention.self.query.weight: expected finite "
       "numbers, got NaN or infinity"},
      {"InfinityF16", Weights([](TensorMap* t) { PutNumber(t, kQuery, DType::kF16, 1e6F); }),
       "expected finite numbers"},
      {"InfinityBf16", Weights([](TensorMap* t) {
         PutNumber(t, kQuery, DType::kBf16, -std::numeric_limits<float>::infinity());
       }),
       "expected finite numbers"},
      {"WrongShape", Weights([](TensorMap* t) {
         (*t)[kQuery] = testing::MakeTensor(DType::kF32, {32, 31}, std::vector<float>(32 * 31));
       }),
       "query.weight: expected shape [32, 32], got [32, 31]"},
      {"WrongRank", Weights([](TensorMap* t) {
         t->at(kQuery).shape = {32, 32, 1};
       }),
       "query.weight: expected shape [32, 32], got [32, 32, 1]"},
      {"WrongType", Weights([](TensorMap* t) { t->at(kQuery).dtype = "I32"; }),
       "query.weight: expected F32, F16 or BF16, got I32"},
      {"MissingTensor", Weights([](TensorMap* t) { t->erase(kQuery); }),
       "encoder.layer.0.attention.self.query.weight: expected this tensor, got none"},
      {"MissingBias", Weights([](TensorMap* t) { t->erase("bert.pooler.dense.bias"); }),
       "pooler.dense.bias: expected this tensor, got none"},
      {"MissingClassifier", Weights([](TensorMap* t) { t->erase("classifier.weight"); }),
       "classifier.weight: expected this tensor of a sequence classifier, got none"},
      {"NoWordEmbeddings",
       Weights([](TensorMap* t) { t->erase("bert.embeddings.word_embeddings.weight"); }),
       "expected a tensor embeddings.word_embeddings.weight, got none"},
      {"TwoModels", Weights([](TensorMap* t) {
         (*t)["other.embeddings.word_embeddings.weight"] = t->at("classifier.bias");
       }),
       "expected one tensor embeddings.word_embeddings.weight, got "},
      {"UnknownTensor", Weights([](TensorMap* t) {
         (*t)["bert.encoder.layer.7.output.dense.bias"] = t->at("classifier.bias");
       }),
       "bert.encoder.layer.7.output.dense.bias: expected only tensors of this model"},
      {"TwoSpellings", Weights([](TensorMap* t) {
         (*t)["bert.embeddings.LayerNorm.gamma"] = t->at("bert.embeddings.LayerNorm.weight");
       }),
       "expected one tensor embeddings.LayerNorm.weight, got "},
      {"NoWeights", Without("model.safetensors"),
       "model.safetensors: expected this file or model.safetensors.index.json, got neither"},
      {"PytorchOnly",
       [](const fs::path& folder) {
         fs::rename(folder / "model.safetensors", folder / "pytorch_model.bin");
       },
       "pytorch_model.bin is not read: convert it"},
      {"FolderInsteadOfFile",
       [](const fs::path& folder) {
         fs::remove(folder / "model.safetensors");
         fs::create_directory(folder / "model.safetensors");
       },
       "model.safetensors: expected a regular file"},
  };
}

// The same of forms that need more than one tensor.
std::vector<Breakage> FormBreakages() {
  const auto coded = [](const std::function<void(TensorMap*)>& change) {
    return Weights([change](TensorMap* tensors) {
      testing::StoreCodes(kProduct, std::nullopt, tensors);
      change(tensors);
    });
  };
  const auto pruned = [](const std::function<void(TensorMap*)>& change) {
    return Weights([change](TensorMap* tensors) {
      testing::StoreBitmask(kProduct, 3, tensors);
      change(tensors);
    });
  };
  const std::string product = kProduct;
  const std::string scale = product + ".weight_scale";
  return {
      {"CodesWithoutScale", coded([scale](TensorMap* t) { t->erase(scale); }),
       "output.dense.weight_scale: expected this tensor, got none"},
      {"ScaleOfOtherLength",
       coded([scale](TensorMap* t) { (*t)[scale] = testing::MakeTensor(DType::kF32, {1}, {{1}}); }),
       "output.dense.weight_scale: expected shape [32], got [1]"},
      {"ScaleOfOtherType", coded([scale](TensorMap* t) { PutNumber(t, scale, DType::kF16, 1); }),
       "output.dense.weight_scale: expected F32, got F16"},
      {"ScaleNotFinite",
       coded([scale](TensorMap* t) { PutNumber(t, scale, DType::kF32, std::nanf("")); }),
       "expected finite numbers, got NaN or infinity"},
      {"ScaleOfZero", coded([scale](TensorMap* t) { PutNumber(t, scale, DType::kF32, 0); }),
       "output.dense.weight_scale: expected scales above 0, got 0"},
      {"CodeMinus128",
       coded([product](TensorMap* t) { PutNumber(t, product + ".weight", DType::kI8, -128); }),
       "output.dense.weight: expected codes in [-127, 127], got -128"},
      {"InputScaleOfZero", coded([product](TensorMap* t) {
         (*t)[product + ".input_scale"] = testing::MakeTensor(DType::kF32, {1}, {{0}});
       }),
       "output.dense.input_scale: expected scales above 0, got 0"},
      {"ScaleWithoutCodes", Weights([scale](TensorMap* t) {
         (*t)[scale] = testing::MakeTensor(DType::kF32, {32}, std::vector<float>(32, 1));
       }),
       "output.dense.weight_scale: expected only tensors of this model"},
      {"CodesInTheHead",
       Weights([](TensorMap* t) { testing::StoreCodes("classifier", std::nullopt, t); }),
       "classifier.weight: expected F32, F16 or BF16, got I8"},
      {"BitmaskOfOtherCount", pruned([product](TensorMap* t) {
         PutNumber(t, product + ".weight.bitmask", DType::kU8, 1);
       }),
       "bitmask: expected one bit for each of the 683 values, got 1"},
      {"BitmaskOfOtherShape", pruned([product](TensorMap* t) {
         t->at(product + ".weight.bitmask").shape = {64, 4};
       }),
       "output.dense.weight.bitmask: expected shape [32, 8], got [64, 4]"},
      {"BitmaskMissing", pruned([product](TensorMap* t) { t->erase(product + ".weight.bitmask"); }),
       "output.dense.weight.bitmask: expected this tensor, got none"},
      {"CompressedShape", pruned([product](TensorMap* t) {
         (*t)[product + ".weight.shape"] = testing::MakeTensor(DType::kI64, {2}, {{64, 32}});
       }),
       "output.dense.weight: expected the compressed shape 32 x 64, got 64 x 32"},
      {"CompressedAndDense", pruned([product](TensorMap* t) {
         (*t)[product + ".weight"] = t->at("bert.encoder.layer.0.output.dense.bias");
       }),
       "output.dense.weight: expected only tensors of this model"},
      {"NarrowWithoutMap", Manifest([](json* m) {
         (*m)["arch"] = {{"embedding", 32}, {"embed_map", {{"kind", "linear"}}}};
       }),
       "encoder.embedding_hidden_mapping_in.weight: expected this tensor, got none"},
      {"MapWithoutWidth", Manifest([](json* m) {
         (*m)["arch"] = {{"embed_map", {{"kind", "linear"}}}};
       }),
       "variant.json: arch.embedding: expected a value, got nothing"},
      {"ActivationsWithoutCodes", Manifest([](json* m) {
         (*m)["activations"] = {{"mode", "dynamic"}, {"bits", 8}};
       }),
       "variant.json: activations.mode: expected int8 weights, all without an input_scale, got 0"},
      {"WidthTooWide", Manifest([](json* m) {
         (*m)["elastic"] = {{"widths", {{{"width", 1.0}, {"heads", 5}, {"ffn_dim", 8}}}},
                            {"depths", {{{"depth", 1.0}, {"layers", {0, 1}}}}}};
       }),
       "variant.json: elastic.widths: expected at most the 4 heads and ffn_dim 64 of every layer, "
       "got 5 and 8"},
      {"DepthTooDeep", Manifest([](json* m) {
         (*m)["elastic"] = {{"widths", {{{"width", 1.0}, {"heads", 4}, {"ffn_dim", 64}}}},
                            {"depths", {{{"depth", 1.0}, {"layers", {0, 2}}}}}};
       }),
       "variant.json: elastic.depths: expected layers below 2, got 2"},
  };
}

std::vector<Breakage> ShardBreakages() {
  const auto sharded = [](const std::function<void(json*)>& change) {
    return [change](const fs::path& folder) {
      fs::remove(folder / "model.safetensors");
      testing::WriteWeights(folder, testing::TinyTensors(kGood), true);
      std::ifstream in(folder / "model.safetensors.index.json");
      json index = json::parse(in);
      change(&index);
      WriteFile(folder / "model.safetensors.index.json", index.dump());
    };
  };
  return {
      {"ShardOutside",
       sharded([](json* index) { (*index)["weight_map"][kQuery] = "../a.safetensors"; }),
       "weight_map: expected a relative path to a .safetensors file without \"..\", got "
       "\"../a.safetensors\""},
      {"ShardMissing",
       sharded([](json* index) { (*index)["weight_map"][kQuery] = "none.safetensors"; }),
       "none.safetensors: expected a file or folder, got: No such file"},
      {"ShardWithoutTensor", sharded([](json* index) {
         (*index)["weight_map"]["extra"] = "model-00001-of-00002.safetensors";
       }),
       "expected \"extra\" in model-00001-of-00002.safetensors, got a file without it"},
      {"IndexWithoutTensor", sharded([](json* index) { (*index)["weight_map"].erase(kQuery); }),
       "weight_map: expected bert.encoder.layer.0.attention.self.query.weight in "},
      {"IndexWithoutMap", sharded([](json* index) { index->erase("weight_map"); }),
       "model.safetensors.index.json: weight_map: expected a value, got nothing"},
  };
}

std::vector<Breakage> ManifestBreakages() {
  return {
      {"UnknownKey", Manifest([](json* m) { (*m)["famly"] = "x"; }),
       "variant.json: expected a known key, got \"famly\" (nearest: \"family\")"},
      {"DuplicateKey", Text("variant.json", R"({"schema_version":1,"id":"a","id":"b"})"),
       "variant.json: expected distinct keys, got \"id\" twice"},
      {"FutureSchema", Manifest([](json* m) { (*m)["schema_version"] = 2; }),
       "variant.json: schema_version: expected an integer in [1, 1], got 2"},
      {"NotJson", Text("variant.json", "{"), "variant.json: expected JSON"},
      {"InvalidUtf8", Text("variant.json", "{\"id\":\"\xff\"}"), "variant.json: expected JSON"},
      {"ChecksumMismatch", Manifest([](json* m) {
         (*m)["files"] = {{{"path", "model.safetensors"}, {"sha256", std::string(64, '0')}}};
       }),
       "model.safetensors: expected sha256 000000"},
      {"SizeMismatch", Manifest([](json* m) {
         (*m)["files"] = {{{"path", "vocab.txt"}, {"bytes", 3}}};
       }),
       "vocab.txt: expected 3 bytes as in variant.json, got "},
      {"ListedFileMissing", Manifest([](json* m) {
         (*m)["files"] = {{{"path", "gone.bin"}, {"bytes", 3}}};
       }),
       "gone.bin: expected a file or folder, got: No such file"},
      {"PathOutside", Manifest([](json* m) {
         (*m)["files"] = {{{"path", "../secret"}, {"bytes", 3}}};
       }),
       "variant.json: files[0].path: expected a relative path without \"..\", got \"../secret\""},
      {"AbsolutePath", Manifest([](json* m) {
         (*m)["files"] = {{{"path", "/etc/passwd"}}};
       }),
       "variant.json: files[0].path: expected a relative path"},
      {"TokenizerChecksum", Manifest([](json* m) {
         (*m)["tokenizer"] = {{"sha256", std::string(64, 'a')}};
       }),
       "variant.json: tokenizer.sha256: expected "},
      {"TokenizerSize", Manifest([](json* m) {
         (*m)["tokenizer"] = {{"vocab_size", 7}};
       }),
       "variant.json: tokenizer.vocab_size: expected 104 as in the folder, got 7"},
      {"ArchDisagrees", Manifest([](json* m) {
         (*m)["arch"] = {{"hidden", 48}};
       }),
       "variant.json: arch.hidden: expected 32 as in the folder, got 48"},
      {"LayersDisagree", Manifest([](json* m) { (*m)["layers"][1]["ffn_dim"] = 63; }),
       "encoder.layer.1.intermediate.dense.weight: expected shape [63, 32], got [64, 32]"},
      {"LayerLeftOver", Manifest([](json* m) { (*m)["layers"].erase(1); }),
       "bert.encoder.layer.1.attention.output.LayerNorm.bias: expected only tensors of this model"},
      {"TieOfOtherShape", Manifest([](json* m) {
         (*m)["layers"][1]["ffn"] = 0;
         (*m)["layers"][1]["ffn_dim"] = 63;
       }),
       "layers[1]: expected the shape of the layer whose weights it shares"},
      {"LabelsDisagree", Manifest([](json* m) { (*m)["task"]["num_labels"] = 2; }),
       "variant.json: task.num_labels: expected 1 as in the folder, got 2"},
      {"ScoreIndex", Manifest([](json* m) { (*m)["task"]["score_index"] = 1; }),
       "variant.json: task.score_index: expected less than 1, got 1"},
      {"TooLong", Manifest([](json* m) { (*m)["task"]["max_len"] = 65; }),
       "variant.json: task.max_len: expected at most the 64 positions of the model, got 65"},
  };
}

std::vector<Breakage> OtherBreakages() {
  return {
      {"NoConfig", Without("config.json"), "config.json: expected a file or folder, got: No such"},
      {"NoVocabulary", Without("vocab.txt"), "vocab.txt: expected this file or tokenizer.json"},
      {"OtherModel", Config([](json* c) { (*c)["model_type"] = "roberta"; }),
       "config.json: model_type: expected one of \"bert\", \"distilbert\", got \"roberta\""},
      {"RelativePositions",
       Config([](json* c) { (*c)["position_embedding_type"] = "relative_key"; }),
       "config.json: position_embedding_type: expected \"absolute\", got \"relative_key\""},
      {"LabelCount", Config([](json* c) {
         (*c)["id2label"] = {{"0", "a"}, {"1", "b"}};
       }),
       "classifier.weight: expected the 2 labels of config.json, got 1"},
      {"VocabularyTooLarge", Config([](json* c) { (*c)["vocab_size"] = 50; }),
       "vocabulary: expected at most the 50 rows of the word embeddings, got 104 entries"},
      {"VocabularyRowsDiffer", Config([](json* c) { (*c)["vocab_size"] = 105; }),
       "word_embeddings.weight: expected shape [105, 32], got [104, 32]"},
      {"NoSpecialToken", Text("vocab.txt", "[PAD]\n[UNK]\n[CLS]\na\n"),
       "vocab.txt: expected an entry [SEP], got none"},
      {"DuplicateEntry", Text("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\na\n"),
       "vocab.txt: expected distinct entries, got \"a\" at ids 4 and 5"},
      {"LinkOutside",
       [](const fs::path& folder) {
         fs::rename(folder / "vocab.txt", folder.parent_path() / "vocab.txt");
         fs::create_symlink("../vocab.txt", folder / "vocab.txt");
       },
       "vocab.txt: expected a path inside "},
      {"DanglingLink",
       [](const fs::path& folder) {
         fs::remove(folder / "variant.json");
         fs::create_symlink("nowhere", folder / "variant.json");
       },
       "variant.json: expected a file or folder, got: No such file"},
  };
}

std::string NameOf(const ::testing::TestParamInfo<Breakage>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Weights, BadFolderTest, ::testing::ValuesIn(WeightBreakages()), NameOf);
INSTANTIATE_TEST_SUITE_P(Forms, BadFolderTest, ::testing::ValuesIn(FormBreakages()), NameOf);
INSTANTIATE_TEST_SUITE_P(Shards, BadFolderTest, ::testing::ValuesIn(ShardBreakages()), NameOf);
INSTANTIATE_TEST_SUITE_P(Manifest, BadFolderTest, ::testing::ValuesIn(ManifestBreakages()), NameOf);
INSTANTIATE_TEST_SUITE_P(Others, BadFolderTest, ::testing::ValuesIn(OtherBreakages()), NameOf);

// What folders carry and nothing reads.
TEST(HarmlessTensorsTest, AreIgnored) {
  TempFolder temp;
  testing::WriteTinyModel(temp.path() / "a", kGood);
  TensorMap tensors = testing::TinyTensors(kGood);
  StoredTensor ids = {.dtype = "I64", .shape = {1, 2}, .bytes = std::string(16, '\0')};
  tensors["bert.embeddings.position_ids"] = ids;
  tensors["cls.predictions.bias"] = tensors["classifier.bias"];
  testing::WriteWeights(temp.path() / "a", tensors, false);
  EXPECT_EQ(Problem(temp.path() / "a"), "accepted");
}

}  // namespace
}  // namespace tailor
