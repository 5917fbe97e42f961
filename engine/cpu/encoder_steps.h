// SPDX-License-Identifier: Apache-2.0
// The fused steps of the forward pass on rows of activations: which kernel or product each one is.
// One object serves one thread during one Run.
#pragma once

#include <span>
#include <vector>

#include "engine/api/batch.h"
#include "engine/cpu/kernels/kernel_set.h"
#include "engine/cpu/packed_model.h"
#include "engine/cpu/sequence_group.h"
#include "engine/cpu/workspace.h"

namespace tailor {

class EncoderSteps {
 public:
  // thread: this thread's number for its products. All referents outlive the object.
  EncoderSteps(const PackedModel& model, const KernelSet& kernels, const Batch& batch, int thread,
               ThreadMemory& memory);

  // False after a product that oneDNN refused to run.
  bool is_ok() const { return is_ok_; }

  // out = LayerNorm(word + position + type embedding) of the part's tokens, also in its tiles.
  void Embed(const SequencePart& part, const Rows& out);

  // y = x * weight^T (+ bias, where the step adds it)
  void Multiply(const PackedLinear& linear, const Rows& x, int rows, const Rows& y);

  // The same of one share of the outputs, and rows of f32 into their tiles (LinearStep::RunShare).
  static void MultiplyShare(const PackedLinear& linear, const Rows& x, int rows, const Rows& y,
                            int share, int shares);
  void StoreTiles(const Rows& rows, int count);

  // context = softmax(query * key^T) * value, all heads: in halves when the rows are, and then into
  // the context's tiles where it has some. `keys` starts at the sequence's first key; its values
  // follow attention_dim further in each row.
  void Attention(const LayerShape& layer, const Rows& query, int num_queries, const Rows& keys,
                 int num_keys, const Rows& context);

  // inner = activation(inner + bias)
  void BiasActivation(const std::vector<float>& bias, const Rows& inner, int rows);

  // hidden = LayerNorm(x + bias + hidden), also in its tiles
  void BiasResidualLayerNorm(const Rows& x, const std::vector<float>& bias, const PackedNorm& norm,
                             const Rows& hidden, int rows);

  // pooled = activation(hidden * pooler^T + bias); f32 in every format.
  void Pooler(const Rows& hidden, int rows, const Rows& pooled);

 private:
  const PackedModel& model_;
  const KernelSet& kernels_;
  const Batch& batch_;
  const int thread_;
  ThreadMemory& memory_;
  bool is_ok_ = true;
};

}  // namespace tailor
