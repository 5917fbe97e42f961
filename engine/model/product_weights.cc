// SPDX-License-Identifier: Apache-2.0
#include "engine/model/product_weights.h"

namespace tailor {

bool IsInt8(const ModelPackage& package, const LinearWeights& linear) {
  return linear.weight.dtype == DType::kI8 || package.format == WeightFormat::kInt8;
}

Int8Share CountInt8(const ModelPackage& package) {
  Int8Share share;
  for (const LinearWeights* linear : EncoderProducts(package.weights)) {
    ++share.products;
    if (IsInt8(package, *linear)) ++share.int8;
  }
  return share;
}

WeightFormat MainFormat(const ModelPackage& package) {
  const Int8Share share = CountInt8(package);
  return 2 * share.int8 > share.products ? WeightFormat::kInt8 : package.format;
}

std::vector<float> DenseWeights(const LinearWeights& linear) {
  std::vector<float> values = ToF32(linear.weight);
  const std::vector<float> scales = ToF32(linear.weight_scale);
  const size_t in = linear.weight.empty() ? 0 : linear.weight.row_elements();
  for (size_t row = 0; row < scales.size(); ++row) {
    for (size_t i = row * in; i < (row + 1) * in; ++i) values[i] *= scales[row];
  }
  return values;
}

}  // namespace tailor
