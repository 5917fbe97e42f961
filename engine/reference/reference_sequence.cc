// SPDX-License-Identifier: Apache-2.0
// The forward pass of one sequence.
#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/reference/reference_model.h"

namespace tailor::reference {
namespace {

using Matrix = std::vector<float>;  // [rows, columns], row-major; the reader knows the shape

// Normalises each row of x + residual (residual may be empty).
Matrix LayerNorm(const Norm& norm, Matrix x, const Matrix& residual, float eps) {
  const size_t hidden = norm.gamma.size();
  for (size_t i = 0; i < residual.size(); ++i) x[i] += residual[i];
  for (size_t start = 0; start < x.size(); start += hidden) {
    double mean = 0;
    for (size_t i = 0; i < hidden; ++i) mean += x[start + i];
    mean /= static_cast<double>(hidden);
    double variance = 0;
    for (size_t i = 0; i < hidden; ++i) {
      variance += (x[start + i] - mean) * (x[start + i] - mean);
    }
    variance /= static_cast<double>(hidden);
    const double scale = 1.0 / std::sqrt(variance + eps);
    for (size_t i = 0; i < hidden; ++i) {
      x[start + i] =
          static_cast<float>((x[start + i] - mean) * scale * norm.gamma[i] + norm.beta[i]);
    }
  }
  return x;
}

Matrix Embed(const Model& model, std::span<const int32_t> ids, std::span<const int32_t> types) {
  const size_t hidden = model.config.hidden;
  Matrix x(ids.size() * hidden);
  for (size_t t = 0; t < ids.size(); ++t) {
    for (size_t i = 0; i < hidden; ++i) {
      float value = model.word_embeddings[ids[t] * hidden + i];
      value += model.position_embeddings[t * hidden + i];
      if (model.config.num_token_types > 0) {
        value += model.token_type_embeddings[types[t] * hidden + i];
      }
      x[t * hidden + i] = value;
    }
  }
  return LayerNorm(model.embedding_norm, std::move(x), {}, model.config.layer_norm_eps);
}

// softmax(q * k^T) * v for each head; the factor 1/sqrt(head_dim) is already in q. is_half: with q,
// k, v and e^(score - largest) rounded to bf16, the last not in their sum.
Matrix Attend(const LayerShape& shape, size_t tokens, Matrix q, Matrix k, Matrix v, bool is_half) {
  if (is_half) {
    for (Matrix* matrix : {&q, &k, &v}) {
      for (float& value : *matrix) value = RoundToBf16(value);
    }
  }
  const size_t width = shape.attention_dim();
  Matrix context(q.size());
  std::vector<double> p(tokens);
  for (size_t head = 0; head < static_cast<size_t>(shape.num_heads); ++head) {
    const size_t first = head * shape.head_dim;
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t s = 0; s < tokens; ++s) {
        p[s] = 0;
        for (size_t i = first; i < first + shape.head_dim; ++i) {
          p[s] += static_cast<double>(q[t * width + i]) * k[s * width + i];
        }
      }
      const double largest = *std::max_element(p.begin(), p.end());
      double total = 0;
      for (double& value : p) {
        total += value = std::exp(value - largest);
        if (is_half) value = RoundToBf16(static_cast<float>(value));
      }
      for (size_t i = first; i < first + shape.head_dim; ++i) {
        double sum = 0;
        for (size_t s = 0; s < tokens; ++s) sum += p[s] * v[s * width + i];
        context[t * width + i] = static_cast<float>(sum / total);
      }
    }
  }
  return context;
}

float Activate(HiddenActivation activation, float value) {
  const double x = value;
  switch (activation) {
    case HiddenActivation::kGeluErf:
      return static_cast<float>(0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0))));
    case HiddenActivation::kGeluTanh:
      return static_cast<float>(
          0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x))));
    case HiddenActivation::kRelu:
      return std::max(value, 0.0F);
  }
  return value;
}

float ActivatePooler(PoolerActivation activation, float x) {
  switch (activation) {
    case PoolerActivation::kNone:
      return x;
    case PoolerActivation::kTanh:
      return std::tanh(x);
    case PoolerActivation::kRelu:
      return std::max(x, 0.0F);
    case PoolerActivation::kTanhRelu:
      return std::max(std::tanh(x), 0.0F);
  }
  return x;
}

Matrix Encode(const Model& model, Matrix x) {
  const size_t tokens = x.size() / model.config.hidden;
  const float eps = model.config.layer_norm_eps;
  for (const LayerShape& shape : model.config.layers) {
    const Attention& attention = model.attention[shape.attention];
    const Ffn& ffn = model.ffn[shape.ffn];
    const bool is_half = attention.query.arithmetic == Arithmetic::kBf16 &&
                         attention.key.arithmetic == Arithmetic::kBf16 &&
                         attention.value.arithmetic == Arithmetic::kBf16;
    const Matrix context =
        Attend(shape, tokens, Apply(attention.query, x, tokens), Apply(attention.key, x, tokens),
               Apply(attention.value, x, tokens), is_half);
    x = LayerNorm(attention.norm, Apply(attention.output, context, tokens), x, eps);
    Matrix inner = Apply(ffn.in, x, tokens);
    for (float& value : inner) value = Activate(model.config.activation, value);
    x = LayerNorm(ffn.norm, Apply(ffn.out, inner, tokens), x, eps);
  }
  return x;
}

Matrix Pool(const BertConfig& config, const Matrix& x) {
  const size_t hidden = config.hidden;
  if (config.head.kind == HeadKind::kClassifier || config.head.pooling == Pooling::kCls) {
    return Matrix(x.begin(), x.begin() + static_cast<int64_t>(hidden));
  }
  const size_t tokens = x.size() / hidden;
  Matrix mean(hidden);
  for (size_t i = 0; i < hidden; ++i) {
    double sum = 0;
    for (size_t t = 0; t < tokens; ++t) sum += x[t * hidden + i];
    mean[i] = static_cast<float>(sum / static_cast<double>(tokens));
  }
  return mean;
}

void Normalize(Matrix& row) {
  double squares = 0;
  for (const float value : row) squares += static_cast<double>(value) * value;
  // The bound is PyTorch's: torch.nn.functional.normalize(eps=1e-12).
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (float& value : row) value = static_cast<float>(value / length);
}

}  // namespace

std::vector<float> RunSequence(const Model& model, std::span<const int32_t> ids,
                               std::span<const int32_t> types) {
  const HeadConfig& head = model.config.head;
  Matrix row = Pool(model.config, Encode(model, Embed(model, ids, types)));
  if (head.kind == HeadKind::kEmbedding) {
    if (head.normalize) Normalize(row);
    return row;
  }
  if (head.pooler != PoolerActivation::kNone) {
    row = Apply(model.pooler, row, 1);
    for (float& value : row) value = ActivatePooler(head.pooler, value);
  }
  return Apply(model.classifier, row, 1);
}

}  // namespace tailor::reference
