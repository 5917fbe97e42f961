// SPDX-License-Identifier: Apache-2.0
#include "tests/parity/engine/cuda_cases.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "absl/strings/str_cat.h"

#include "tests/parity/engine/parity.h"
#include "tests/parity/engine/parity_cases.h"
#include "tests/parity/engine/random_model.h"

namespace tailor::testing {
namespace {

// Of outputs of the order of 1; larger ones, of embeddings, are as far away as they are larger. f32
// sums in another order than the reference's; f16 and bf16 round what products read and give.
double BoundOf(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF16:
      return 2e-3;
    case WeightFormat::kBf16:
      return 3e-2;
    case WeightFormat::kF32:
    case WeightFormat::kInt8:
      break;
  }
  return 1e-4;
}

}  // namespace

void ExpectCudaParity(const std::string& config_name, const MakeEngine& make, int max_tokens) {
  const BertConfig config = ParityConfigs().at(config_name);
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kBf16}) {
    const ModelPackage package = RandomModel(config, 17, format);
    const std::unique_ptr<Backend> reference = Reference();
    const std::unique_ptr<Backend> cuda = make();
    const LoadedCut reference_cut = LoadInto(*reference, package);
    const LoadedCut cut = LoadInto(*cuda, package);
    for (const auto& [name, lengths] : ParityBatches()) {
      if (std::accumulate(lengths.begin(), lengths.end(), 0) > max_tokens) continue;
      const Batch batch = RandomBatch(lengths, config, 5);
      const std::vector<float> expected = Outputs(*reference, reference_cut, batch);
      double size = 1;
      for (const float output : expected)
        size = std::max(size, std::abs(static_cast<double>(output)));
      ExpectNear(Outputs(*cuda, cut, batch), expected, BoundOf(format) * size,
                 absl::StrCat(config_name, "/", name, "/", std::string(WeightFormatName(format))));
    }
  }
}

void ExpectCudaBatchIndependence(const std::string& config_name, const MakeEngine& make) {
  const BertConfig config = ParityConfigs().at(config_name);
  const std::vector<int> lengths = {40, 7, 120, 1, 64, 33, 33, 90, 15};
  const Batch batch = RandomBatch(lengths, config, 3);
  const std::unique_ptr<Backend> cuda = make();
  const LoadedCut cut = LoadInto(*cuda, RandomModel(config, 23, WeightFormat::kF16));
  const std::vector<float> together = Outputs(*cuda, cut, batch);
  for (int i = 0; i < batch.num_sequences(); ++i) {
    const auto first = static_cast<size_t>(batch.sequence_offsets[static_cast<size_t>(i)]);
    const auto count = static_cast<size_t>(batch.sequence_tokens(i));
    Batch alone;
    alone.Append(std::span(batch.token_ids).subspan(first, count),
                 std::span(batch.token_type_ids).subspan(first, count));
    const auto begin = together.begin() + static_cast<ptrdiff_t>(i) * cut.num_outputs;
    // Another number of rows may take another algorithm, which sums in another order: both are
    // within the bound.
    double size = 1;
    for (auto output = begin; output < begin + cut.num_outputs; ++output) {
      size = std::max(size, std::abs(static_cast<double>(*output)));
    }
    ExpectNear(Outputs(*cuda, cut, alone), {begin, begin + cut.num_outputs},
               2 * BoundOf(WeightFormat::kF16) * size, absl::StrCat(config_name, "/sequence ", i));
  }
}

}  // namespace tailor::testing
