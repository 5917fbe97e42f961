// SPDX-License-Identifier: Apache-2.0
// Random models of any shape as ModelPackage values, and random batches, for tests of engines.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/api/batch.h"
#include "engine/model/model_package.h"

namespace tailor::testing {

// `layers`, `head` and the sizes decide every shape; weights are made so that hidden states and
// outputs stay of the order of 1 and attention is neither flat nor a maximum. Attention and FFN
// blocks are made for the largest index that a layer names. Same seed, same values.
ModelPackage RandomModel(const BertConfig& config, uint64_t seed,
                         WeightFormat format = WeightFormat::kF32);

// Stores the encoder's products of `package`, which are f32, as 8-bit codes with scales: all of
// them, every second one, or those of attention. input_scale: 0 is dynamic; above 0 the n-th
// product gets input_scale * (1 + n / 8), so that neighbours differ.
enum class Stored { kAll, kEverySecond, kAttention };
void StoreCodes(ModelPackage& package, Stored which, float input_scale);

// A classifier with `num_layers` equal layers and one output.
BertConfig EqualLayers(int hidden, int num_heads, int ffn_dim, int num_layers);

// Sequences of the given lengths with random ids and types.
Batch RandomBatch(const std::vector<int>& lengths, const BertConfig& config, uint64_t seed);

}  // namespace tailor::testing
