// SPDX-License-Identifier: Apache-2.0
// One variant as the GPU engine keeps it. Weights lie on the device as they are stored, [out, in];
// those of products in the variant's format, all else as f32.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/cuda/device_weights.h"
#include "engine/cuda/kernels/bias_activation.h"
#include "engine/model/model_package.h"

namespace tailor::cuda {

using DeviceFloats = std::shared_ptr<const Memory>;

// `count` products of the same input, such as query, key and value: the first `out` rows and `in`
// columns of each matrix.
struct DeviceLinear {
  std::shared_ptr<const DeviceMatrix> weight;  // null where out or in is 0
  Element element = Element::kF32;
  int out = 0;
  int in = 0;
  int count = 1;
};

struct DeviceNorm {
  DeviceFloats gamma, beta;  // [hidden]
};

struct DeviceAttention {
  DeviceLinear query_key_value;
  DeviceFloats query_bias, key_bias, value_bias;  // [attention_dim]
  DeviceLinear output;
  DeviceFloats output_bias;  // [hidden]
  DeviceNorm norm;
};

struct DeviceFfn {
  DeviceLinear in, out;
  DeviceFloats in_bias, out_bias;
  DeviceNorm norm;
};

struct DeviceModel {
  BertConfig config;
  Element element = Element::kF32;  // of the encoder's activations and weights
  Activation activation = Activation::kGeluErf;
  // Whether only the first row of each sequence passes the last layer after its keys and values.
  bool reads_first_rows = false;
  DeviceFloats word_embeddings, position_embeddings, token_type_embeddings;  // types may be null
  DeviceNorm embedding_norm;
  std::vector<DeviceAttention> attention;
  std::vector<DeviceFfn> ffn;
  DeviceLinear pooler, classifier;  // f32 in every format; without weight where there is none
  DeviceFloats pooler_bias, classifier_bias;

  size_t bytes = 0;                  // that no other model has brought
  std::vector<std::string> kernels;  // each distinct product

  int max_attention_dim() const;
  int max_ffn_dim() const;
};

// FailedPrecondition for int8 weights and heads wider than kMaxHeadDim, which have no kernel yet;
// ResourceExhausted when the device's memory does not suffice.
absl::StatusOr<DeviceModel> UploadModel(const ModelPackage& package, DeviceWeights& weights);

}  // namespace tailor::cuda
