// SPDX-License-Identifier: Apache-2.0
// Named views into the tensors of one model folder. Shapes are checked against BertConfig when the
// folder is loaded; biases are always present (the loader refuses a folder without them).
#pragma once

#include <vector>

#include "engine/tensor/tensor_view.h"

namespace tailor {

// y = x * weight^T + bias
struct LinearWeights {
  TensorView weight;        // [out, in]; in the encoder's products also i8 codes
  TensorView bias;          // [out]
  TensorView weight_scale;  // [out] f32, of codes: weight = code * scale of its row; else empty
  float input_scale = 0;    // of codes: the step of the inputs; 0: found for each row at run time
};

struct NormWeights {
  TensorView gamma;  // [hidden]
  TensorView beta;   // [hidden]
};

struct AttentionWeights {
  LinearWeights query, key, value;  // [num_heads * head_dim, hidden]
  LinearWeights output;             // [hidden, num_heads * head_dim]
  NormWeights norm;
};

struct FfnWeights {
  LinearWeights in;   // [ffn_dim, hidden]
  LinearWeights out;  // [hidden, ffn_dim]
  NormWeights norm;
};

struct BertWeights {
  TensorView word_embeddings;        // [vocab_size, hidden]
  TensorView position_embeddings;    // [max_positions, hidden]
  TensorView token_type_embeddings;  // [num_token_types, hidden], empty when there is none
  NormWeights embedding_norm;
  std::vector<AttentionWeights> attention;  // indexed by LayerShape::attention
  std::vector<FfnWeights> ffn;              // indexed by LayerShape::ffn
  LinearWeights pooler;                     // [hidden, hidden], empty without a pooler
  LinearWeights classifier;                 // [num_outputs, hidden], empty for embedding heads
};

// The six products of every attention and feed-forward block, in order.
std::vector<LinearWeights*> EncoderProducts(BertWeights& weights);
std::vector<const LinearWeights*> EncoderProducts(const BertWeights& weights);

}  // namespace tailor
