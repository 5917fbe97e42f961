// SPDX-License-Identifier: Apache-2.0
// What an encoder looks like: dimensions, the layer table, and the head that turns its rows into
// outputs. Plain values; filled and validated by the loader (model_package.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tailor {

enum class HiddenActivation { kGeluErf, kGeluTanh, kRelu };

// One row of the layer table. Two layers that name the same attention or ffn index share those
// weights (ALBERT-style ties); dropped layers simply have no row.
struct LayerShape {
  int num_heads = 0;
  int head_dim = 0;
  int ffn_dim = 0;
  int attention = 0;  // index into BertWeights::attention
  int ffn = 0;        // index into BertWeights::ffn

  int attention_dim() const { return num_heads * head_dim; }  // may differ from hidden
};

enum class HeadKind {
  kClassifier,  // first row -> optional pooler -> linear -> num_outputs logits
  kEmbedding,   // pooled hidden states, num_outputs == hidden
};
enum class PoolerActivation { kNone, kTanh, kRelu, kTanhRelu };  // kNone: there is no pooler
enum class Pooling { kCls, kMean };                              // of an embedding head

struct HeadConfig {
  HeadKind kind = HeadKind::kClassifier;
  PoolerActivation pooler = PoolerActivation::kTanh;
  Pooling pooling = Pooling::kCls;
  bool normalize = false;  // embedding head: L2-normalise each output
  int num_outputs = 1;
};

struct BertConfig {
  int hidden = 0;
  int vocab_size = 0;
  int max_positions = 0;    // rows of the position table: the longest sequence that can run
  int num_token_types = 0;  // 0: the model has no token type table (DistilBERT)
  float layer_norm_eps = 1e-12F;
  HiddenActivation activation = HiddenActivation::kGeluErf;
  std::vector<LayerShape> layers;
  HeadConfig head;
};

}  // namespace tailor
