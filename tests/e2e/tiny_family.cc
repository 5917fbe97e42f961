// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/tiny_family.h"

#include "tests/testing/tiny_model.h"

namespace tailor::testing {

void WriteTinyFamily(const std::filesystem::path& folder, int num_labels) {
  TinyModelOptions small;
  small.id = "small";
  small.num_layers = 1;
  small.num_labels = num_labels;
  small.quality = Quality{
      .ndcg10 = 0.6, .ci_low = 0.55, .ci_high = 0.65, .num_queries = 100, .dataset_id = "tiny"};
  WriteTinyModel(folder / "small", small);
  TinyModelOptions large;
  large.id = "large";
  large.seed = 2;
  large.hidden = 64;
  large.ffn_dim = 128;
  large.num_layers = 4;
  large.num_labels = num_labels;
  large.quality = Quality{
      .ndcg10 = 0.8, .ci_low = 0.75, .ci_high = 0.85, .num_queries = 100, .dataset_id = "tiny"};
  WriteTinyModel(folder / "large", large);
}

}  // namespace tailor::testing
