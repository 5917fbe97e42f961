// SPDX-License-Identifier: Apache-2.0
// One sub-network of an elastic variant, as views into the variant's own tensors.
#pragma once

#include "absl/status/status.h"

#include "engine/model/model_package.h"

namespace tailor {

// InvalidArgument when `elastic` asks for heads, neurons or layers that `config` does not have.
absl::Status CheckElastic(const Elastic& elastic, const BertConfig& config);

// Makes `package`, a copy of the elastic variant, its sub-network `name`. No tensor is copied:
// first heads and neurons are first rows, or first columns with the stride of the whole matrix.
// InvalidArgument when the package is not elastic or has no such width or depth.
absl::Status CutSubNetwork(const SubNetwork& name, ModelPackage* package);

// Numbers in the encoder's layers, and their bytes as stored.
struct EncoderSize {
  int64_t parameters = 0;
  int64_t bytes = 0;
};
EncoderSize SizeOf(const BertWeights& weights);

}  // namespace tailor
