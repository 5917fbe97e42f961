// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/encoder_steps.h"

#include "engine/cpu/head.h"

namespace tailor {

EncoderSteps::EncoderSteps(const PackedModel& model, const KernelSet& kernels, const Batch& batch,
                           int thread, ThreadMemory& memory)
    : model_(model), kernels_(kernels), batch_(batch), thread_(thread), memory_(memory) {}

void EncoderSteps::Embed(const SequencePart& part, const Rows& out) {
  const int position = part.begin - part.first;
  const int token = batch_.sequence_offsets[part.sequence] + position;
  const bool has_types = !model_.token_type_embeddings.empty();
  kernels_.embed_layer_norm(
      {.token_ids = batch_.token_ids.data() + token,
       .type_ids = batch_.token_type_ids.data() + token,
       .first_position = position,
       .word_table = model_.word_embeddings->data(),
       .position_table = model_.position_embeddings.data(),
       .type_table = has_types ? model_.token_type_embeddings.data() : nullptr,
       .gamma = model_.embedding_norm.gamma.data(),
       .beta = model_.embedding_norm.beta.data(),
       .eps = model_.config.layer_norm_eps,
       .rows = part.end - part.begin,
       .hidden = model_.config.hidden,
       .out = out.f32,
       .tiles = out.tiles});
}

void EncoderSteps::Multiply(const PackedLinear& linear, const Rows& x, int rows, const Rows& y) {
  is_ok_ &= linear.step->Run(thread_, x, rows, y, memory_.step_scratch.data());
}

void EncoderSteps::MultiplyShare(const PackedLinear& linear, const Rows& x, int rows, const Rows& y,
                                 int share, int shares) {
  linear.step->RunShare(x, rows, y, share, shares);
}

void EncoderSteps::StoreTiles(const Rows& rows, int count) {
  kernels_.store_tiles({.x = rows.f32, .x_stride = rows.width, .rows = count, .tiles = rows.tiles});
}

void EncoderSteps::Attention(const LayerShape& layer, const Rows& query, int num_queries,
                             const Rows& keys, int num_keys, const Rows& context) {
  if (query.half != nullptr) {
    kernels_.half_attention({.query = query.half,
                             .key = keys.half,
                             .value = keys.half + layer.attention_dim(),
                             .query_stride = query.width,
                             .key_value_stride = keys.width,
                             .num_queries = num_queries,
                             .num_keys = num_keys,
                             .num_heads = layer.num_heads,
                             .head_dim = layer.head_dim,
                             .scratch = memory_.half_attention_scratch.data(),
                             .context = context.f32,
                             .tiles = context.tiles});
    return;
  }
  kernels_.attention({.query = query.f32,
                      .key = keys.f32,
                      .value = keys.f32 + layer.attention_dim(),
                      .query_stride = query.width,
                      .key_value_stride = keys.width,
                      .num_queries = num_queries,
                      .num_keys = num_keys,
                      .num_heads = layer.num_heads,
                      .head_dim = layer.head_dim,
                      .scratch = memory_.attention_scratch.data(),
                      .context = context.f32});
}

void EncoderSteps::BiasActivation(const std::vector<float>& bias, const Rows& inner, int rows) {
  kernels_.bias_activation({.x = inner.f32,
                            .bias = bias.data(),
                            .activation = model_.activation,
                            .rows = rows,
                            .columns = static_cast<int>(inner.width),
                            .out = inner.f32});
}

void EncoderSteps::BiasResidualLayerNorm(const Rows& x, const std::vector<float>& bias,
                                         const PackedNorm& norm, const Rows& hidden, int rows) {
  kernels_.bias_residual_layer_norm({.x = x.f32,
                                     .bias = bias.data(),
                                     .residual = hidden.f32,
                                     .gamma = norm.gamma.data(),
                                     .beta = norm.beta.data(),
                                     .eps = model_.config.layer_norm_eps,
                                     .rows = rows,
                                     .hidden = model_.config.hidden,
                                     .out = hidden.f32,
                                     .tiles = hidden.tiles});
}

void EncoderSteps::Pooler(const Rows& hidden, int rows, const Rows& pooled) {
  Multiply(model_.pooler, hidden.For({}), rows, pooled);
  kernels_.bias_activation({.x = pooled.f32,
                            .bias = model_.pooler.bias.data(),
                            .activation = PoolerKernel(model_.config.head.pooler),
                            .rows = rows,
                            .columns = model_.config.hidden,
                            .out = pooled.f32});
}

}  // namespace tailor
