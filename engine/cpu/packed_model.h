// SPDX-License-Identifier: Apache-2.0
// One variant as the CPU engine keeps it: weights in the layout of their products, the rest as f32.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/cpu/kernels/bias_activation.h"
#include "engine/cpu/linear_step.h"
#include "engine/cpu/weight_store.h"
#include "engine/model/model_package.h"

namespace tailor {

struct PackedLinear {
  std::unique_ptr<const LinearStep> step;  // null where the model has no such product
  std::vector<float> bias;  // [out], for the kernel after the step; empty when the step adds it
};

struct PackedNorm {
  std::vector<float> gamma, beta;  // [hidden]
};

// 1/sqrt(head_dim) is folded into the query's weights and bias.
struct PackedAttention {
  StepInput input;                // what its projections read of the hidden rows
  bool is_half = false;           // whether its projections give halves, which attention reads
  StepInput context;              // the tiles of the output's input that attention can write
  PackedLinear query_key_value;   // of layers that compute every row
  PackedLinear query, key_value;  // of a last layer whose head reads first rows only
  PackedLinear output;
  PackedNorm norm;
};

// Some of the inner neurons: in gives them from the hidden rows, out adds what they contribute.
struct PackedFfnPanel {
  PackedLinear in, out;
};

// Inner neurons of one panel of an FFN by oneDNN: it blocks short sums better, and the inner
// activations never leave the second-level cache (docs/adr/0004). Own products have one panel.
constexpr int kFfnPanel = 768;

struct PackedFfn {
  StepInput input;                     // what its panels read of the hidden rows
  std::vector<PackedFfnPanel> panels;  // the first one's out overwrites, the others add
  std::vector<float> bias;             // [hidden], of the second product
  PackedNorm norm;
  size_t bytes = 0;  // of the panels' weights
};

// Two threads that share one sequence divide larger feed-forwards by panels instead of rows. With
// 9 MB that is 8 to 30 % faster, with 2.4 MB 10 % slower: those weights stay in the second-level
// cache of each core anyway.
constexpr size_t kSharedFfnBytes = size_t{4} << 20;

// Threads divide the outputs of own products, so that each reads its share of the weights only, in
// batches of up to a row for this many bytes of a layer's weights, and not at all where those are
// fewer than the second number: meeting before and after each product then costs more
// (docs/adr/0021).
constexpr size_t kSharedBytesOfRow = size_t{40} << 10;
constexpr size_t kMinSharedBytes = size_t{512} << 10;

struct PackedModel {
  BertConfig config;
  KernelActivation activation = KernelActivation::kGeluErf;
  size_t tile_value_bytes = 0;  // the most that a value takes in tiles that its steps read
  int max_output_rows = 0;      // of batches whose products threads divide by outputs
  // Whether only the first row of each sequence passes the last layer after its keys and values.
  bool reads_first_rows = false;
  std::shared_ptr<const std::vector<float>> word_embeddings;
  std::vector<float> position_embeddings, token_type_embeddings;
  PackedNorm embedding_norm;
  std::vector<PackedAttention> attention;
  std::vector<PackedFfn> ffn;
  PackedLinear pooler;                                    // product is null without one
  std::vector<float> classifier_weight, classifier_bias;  // [num_outputs, hidden], [num_outputs]

  size_t bytes = 0;                  // that other models do not share
  size_t scratch_bytes = 0;          // the most that one of its steps wants
  std::vector<std::string> kernels;  // each distinct product, with what computes it

  int max_attention_dim() const;
  int max_head_dim() const;
  int max_ffn_panel() const;
};

// FailedPrecondition when a shape has no fast product. The library and `kernels` outlive the model.
absl::StatusOr<PackedModel> PackModel(const ModelPackage& package, ProductLibrary& library,
                                      const KernelSet& kernels, WeightStore& store);

}  // namespace tailor
