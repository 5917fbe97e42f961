// SPDX-License-Identifier: Apache-2.0
// Fuzz target of variant.json and config.json: an input is the text of either.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

#include "base/check.h"
#include "engine/model/hf_config.h"
#include "engine/model/json_text.h"
#include "engine/model/model_folder.h"
#include "engine/model/variant_manifest.h"

namespace tailor {
namespace {

void CheckMessage(const absl::Status& status) {
  for (const char c : status.message()) TAILOR_CHECK(static_cast<unsigned char>(c) >= ' ');
}

void CheckManifest(const VariantManifest& manifest) {
  TAILOR_CHECK(IsVariantId(manifest.id));
  TAILOR_CHECK(IsVariantId(manifest.family));
  TAILOR_CHECK(!manifest.derive || IsVariantId(manifest.derive->parent));
  for (const VariantManifest::File& file : manifest.files) {
    TAILOR_CHECK(CheckRelativePath(file.path).ok());
  }
  if (manifest.quality) {
    TAILOR_CHECK(manifest.quality->ci_low <= manifest.quality->ndcg10);
    TAILOR_CHECK(manifest.quality->ndcg10 <= manifest.quality->ci_high);
  }
}

void CheckConfig(const HfConfig& config) {
  TAILOR_CHECK(!config.layers.empty());
  for (const LayerShape& layer : config.layers) {
    TAILOR_CHECK(layer.num_heads > 0 && layer.head_dim > 0 && layer.ffn_dim > 0);
    TAILOR_CHECK(layer.attention_dim() <= config.hidden);
  }
}

}  // namespace
}  // namespace tailor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto value = tailor::ParseJson(text);
  if (!value.ok()) {
    tailor::CheckMessage(value.status());
    return 0;
  }
  const auto manifest = tailor::ParseVariantManifest(*value);
  if (manifest.ok()) {
    tailor::CheckManifest(*manifest);
  } else {
    tailor::CheckMessage(manifest.status());
  }
  const auto config = tailor::ParseHfConfig(*value);
  if (config.ok()) {
    tailor::CheckConfig(*config);
  } else {
    tailor::CheckMessage(config.status());
  }
  return 0;
}
