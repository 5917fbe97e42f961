// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/forward_pass.h"

#include <algorithm>
#include <cmath>

namespace tailor::cuda {
namespace {

Activation PoolerKernel(PoolerActivation activation) {
  switch (activation) {
    case PoolerActivation::kNone:
      return Activation::kNone;
    case PoolerActivation::kTanh:
      return Activation::kTanh;
    case PoolerActivation::kRelu:
      return Activation::kRelu;
    case PoolerActivation::kTanhRelu:
      return Activation::kTanhRelu;
  }
  return Activation::kNone;
}

const float* DataOf(const DeviceFloats& floats) {
  return floats == nullptr ? nullptr : floats->as<const float>();
}

class ForwardPass {
 public:
  ForwardPass(const DeviceModel& model, const Batch& batch, const DeviceWorkspace& workspace,
              CallChain& calls)
      : model_(model),
        batch_(batch),
        workspace_(workspace),
        at_(workspace.device()),
        calls_(calls),
        hidden_dim_(model.config.hidden),
        element_(model.element) {}

  void Queue() {
    CopyTokens();
    Embed();
    const std::vector<LayerShape>& layers = model_.config.layers;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (model_.reads_first_rows && i + 1 == layers.size()) {
        AttendFirstRows(layers[i]);
        FinishLayer(layers[i], at_.first_residual, at_.first_hidden, batch_.num_sequences());
      } else {
        AttendAllRows(layers[i]);
        FinishLayer(layers[i], at_.residual, at_.hidden, batch_.num_tokens());
      }
    }
    // From here on, one f32 row a sequence, which a last layer of first rows has left there.
    if (!model_.reads_first_rows) Pool(/*is_mean=*/true);
    const float* outputs = Head();
    calls_.CopyToHost(workspace_.host().outputs, outputs,
                      static_cast<size_t>(batch_.num_sequences()) * model_.config.head.num_outputs *
                          sizeof(float));
  }

 private:
  void CopyTokens() {
    const DeviceWorkspace::Indices& host = workspace_.host().indices;
    std::copy(batch_.token_ids.begin(), batch_.token_ids.end(), host.ids);
    std::copy(batch_.token_type_ids.begin(), batch_.token_type_ids.end(), host.types);
    std::copy(batch_.sequence_offsets.begin(), batch_.sequence_offsets.end(), host.offsets);
    int32_t* position = host.positions;
    for (int i = 0; i < batch_.num_sequences(); ++i) {
      for (int t = 0; t < batch_.sequence_tokens(i); ++t) *position++ = t;
    }
    calls_.CopyToDevice(at_.indices.ids, host.ids, workspace_.index_bytes());
  }

  void Embed() {
    calls_.Launch(EmbedLayerNorm{.element = element_,
                                 .rows = batch_.num_tokens(),
                                 .columns = hidden_dim_,
                                 .ids = at_.indices.ids,
                                 .positions = at_.indices.positions,
                                 .types = at_.indices.types,
                                 .words = DataOf(model_.word_embeddings),
                                 .places = DataOf(model_.position_embeddings),
                                 .kinds = DataOf(model_.token_type_embeddings),
                                 .gamma = DataOf(model_.embedding_norm.gamma),
                                 .beta = DataOf(model_.embedding_norm.beta),
                                 .epsilon = model_.config.layer_norm_eps,
                                 .residual = at_.residual,
                                 .hidden = at_.hidden});
  }

  // y = x * weight^T, nothing where the model has no such product.
  void Multiply(const DeviceLinear& linear, int first, int count, const void* x, int rows,
                void* y) {
    if (linear.weight == nullptr) return;
    calls_.Multiply(ProductOf(linear, first, count, x, rows, y));
  }

  void AttendAllRows(const LayerShape& layer) {
    if (layer.num_heads == 0) return;
    const DeviceAttention& block = model_.attention[layer.attention];
    const int dim = layer.attention_dim();
    Multiply(block.query_key_value, 0, 3, at_.hidden, batch_.num_tokens(), at_.projections);
    Attend(layer, at_.projections, 3 * dim, Column(at_.projections, dim),
           Column(at_.projections, 2 * dim), 3 * dim);
  }

  // Keys and values of all rows, the rest of the first ones only: no other is read behind this
  // layer.
  void AttendFirstRows(const LayerShape& layer) {
    Pool(/*is_mean=*/false);
    if (layer.num_heads == 0) return;
    const DeviceAttention& block = model_.attention[layer.attention];
    const int dim = layer.attention_dim();
    Multiply(block.query_key_value, 0, 1, at_.first_hidden, batch_.num_sequences(),
             at_.first_query);
    Multiply(block.query_key_value, 1, 2, at_.hidden, batch_.num_tokens(), at_.projections);
    Attend(layer, at_.first_query, dim, at_.projections, Column(at_.projections, dim), 2 * dim);
  }

  void Attend(const LayerShape& layer, const void* queries, int query_stride, const void* keys,
              const void* values, int key_stride) {
    const DeviceAttention& block = model_.attention[layer.attention];
    int longest = 0;
    for (int i = 0; i < batch_.num_sequences(); ++i) {
      longest = std::max(longest, batch_.sequence_tokens(i));
    }
    calls_.Launch(Attention{.element = element_,
                            .num_sequences = batch_.num_sequences(),
                            .max_tokens = longest,
                            .num_heads = layer.num_heads,
                            .head_dim = layer.head_dim,
                            .first_rows_only = queries == at_.first_query,
                            .scale = 1.0F / std::sqrt(static_cast<float>(layer.head_dim)),
                            .offsets = at_.indices.offsets,
                            .queries = queries,
                            .query_stride = query_stride,
                            .keys = keys,
                            .values = values,
                            .key_stride = key_stride,
                            .query_bias = DataOf(block.query_bias),
                            .key_bias = DataOf(block.key_bias),
                            .value_bias = DataOf(block.value_bias),
                            .context = at_.context});
  }

  // From the context of `rows` rows to the layer's output, in place of its input.
  void FinishLayer(const LayerShape& layer, float* residual, void* hidden, int rows) {
    const auto add_and_normalize = [&](const DeviceLinear& linear, const DeviceFloats& bias,
                                       const DeviceNorm& norm) {
      calls_.Launch(ResidualLayerNorm{.element = element_,
                                      .rows = rows,
                                      .columns = hidden_dim_,
                                      .product = linear.weight == nullptr ? nullptr : at_.product,
                                      .bias = DataOf(bias),
                                      .gamma = DataOf(norm.gamma),
                                      .beta = DataOf(norm.beta),
                                      .epsilon = model_.config.layer_norm_eps,
                                      .residual = residual,
                                      .hidden = hidden});
    };
    const DeviceAttention& attention = model_.attention[layer.attention];
    Multiply(attention.output, 0, 1, at_.context, rows, at_.product);
    add_and_normalize(attention.output, attention.output_bias, attention.norm);
    const DeviceFfn& ffn = model_.ffn[layer.ffn];
    if (layer.ffn_dim > 0) {
      Multiply(ffn.in, 0, 1, hidden, rows, at_.inner);
      calls_.Launch(BiasActivation{.element = element_,
                                   .activation = model_.activation,
                                   .rows = rows,
                                   .columns = layer.ffn_dim,
                                   .bias = DataOf(ffn.in_bias),
                                   .values = at_.inner});
      Multiply(ffn.out, 0, 1, at_.inner, rows, at_.product);
    }
    add_and_normalize(ffn.out, ffn.out_bias, ffn.norm);
  }

  void Pool(bool is_mean) {
    calls_.Launch(PoolRows{.element = element_,
                           .is_mean = is_mean,
                           .num_sequences = batch_.num_sequences(),
                           .columns = hidden_dim_,
                           .offsets = at_.indices.offsets,
                           .rows = at_.residual,
                           .residual = at_.first_residual,
                           .hidden = at_.first_hidden});
  }

  // The outputs' place.
  const float* Head() {
    const int rows = batch_.num_sequences();
    if (model_.classifier.weight == nullptr) return at_.first_residual;
    const float* row = at_.first_residual;
    if (model_.pooler.weight != nullptr) {
      Multiply(model_.pooler, 0, 1, at_.first_residual, rows, at_.head);
      calls_.Launch(BiasActivation{.activation = PoolerKernel(model_.config.head.pooler),
                                   .rows = rows,
                                   .columns = hidden_dim_,
                                   .bias = DataOf(model_.pooler_bias),
                                   .values = at_.head});
      row = at_.head;
    }
    Multiply(model_.classifier, 0, 1, row, rows, at_.outputs);
    calls_.Launch(BiasActivation{.rows = rows,
                                 .columns = model_.config.head.num_outputs,
                                 .bias = DataOf(model_.classifier_bias),
                                 .values = at_.outputs});
    return at_.outputs;
  }

  // The matrix whose first column is this one of the encoder's.
  const void* Column(const void* matrix, int column) const {
    return static_cast<const std::byte*>(matrix) + column * ByteSize(element_);
  }

  const DeviceModel& model_;
  const Batch& batch_;
  const DeviceWorkspace& workspace_;
  const DeviceWorkspace::DevicePlaces& at_;
  CallChain& calls_;
  const int hidden_dim_;
  const Element element_;
};

}  // namespace

MatrixProduct ProductOf(const DeviceLinear& linear, int first, int count, const void* x, int rows,
                        void* y) {
  const DeviceMatrix& weight = *linear.weight;
  const ptrdiff_t skipped =
      first * weight.step() * static_cast<ptrdiff_t>(ByteSize(linear.element));
  MatrixProduct product = {.element = linear.element,
                           .m = linear.out,
                           .n = RoundedRows(rows),
                           .k = linear.in,
                           .a = weight.memory.as<const std::byte>() + skipped,
                           .b = x,
                           .c = y,
                           .lda = weight.columns,
                           .ldb = linear.in,
                           .ldc = count * linear.out};
  if (linear.out == weight.rows) {  // the matrices follow each other without gaps: one product
    product.m = count * linear.out;
  } else {
    product.batch = count;
    product.a_stride = weight.step();
    product.c_stride = linear.out;
  }
  return product;
}

void QueueForwardPass(const DeviceModel& model, const Batch& batch,
                      const DeviceWorkspace& workspace, CallChain& calls) {
  ForwardPass(model, batch, workspace, calls).Queue();
}

}  // namespace tailor::cuda
