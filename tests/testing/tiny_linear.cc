// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/tiny_linear.h"

#include <cmath>
#include <vector>

#include "tests/testing/tiny_model.h"

namespace tailor::testing {
namespace {

// Waves of a length that nothing else here has: all values differ, none is large.
StoredTensor Waves(DType dtype, size_t size, float offset) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = offset + std::sin(1.7F * static_cast<float>(i + 1));
  return MakeTensor(dtype, {static_cast<int64_t>(size)}, values);
}

}  // namespace

TensorMap TinyLinearTensors(const TinyLinearOptions& options) {
  return {{"linear.dense.weight", Waves(DType::kF32, kDenseFeatures, 0)},
          {"linear.hashed.weight", Waves(DType::kF16, size_t{1} << options.bits, 0)},
          {"linear.idf", Waves(DType::kF16, TinyVocabulary().size(), 3)}};
}

nlohmann::json TinyLinearManifest(const TinyLinearOptions& options) {
  nlohmann::json manifest = {{"schema_version", 1},
                             {"id", options.id},
                             {"family", options.family},
                             {"task", {{"kind", "relevance"}, {"max_len", options.max_tokens}}},
                             {"arch",
                              {{"kind", "linear"},
                               {"features", kLinearFeatures},
                               {"bits", options.bits},
                               {"hash_seed", 7},
                               {"average_length", 12.5}}}};
  if (options.quality) {
    manifest["quality"] = {{"ndcg10", options.quality->ndcg10},
                           {"ci95", {options.quality->ci_low, options.quality->ci_high}}};
  }
  return manifest;
}

void WriteTinyLinear(const std::filesystem::path& folder, const TinyLinearOptions& options) {
  std::string vocabulary;
  for (const std::string& entry : TinyVocabulary()) vocabulary += entry + "\n";
  WriteFile(folder / "vocab.txt", vocabulary);
  WriteFile(folder / "tokenizer_config.json", R"({"do_lower_case": true})");
  WriteFile(folder / "model.safetensors", SerializeSafetensors(TinyLinearTensors(options)));
  WriteFile(folder / "variant.json", TinyLinearManifest(options).dump(2));
}

}  // namespace tailor::testing
