// SPDX-License-Identifier: Apache-2.0
// The forward pass, one call a fused step. Who computes which rows: split_plan.h. What a step does:
// kernels/*.h and product.h. Where the rows are: workspace.h.
#include "engine/cpu/cpu_backend.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/head.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/packed_model.h"
#include "engine/cpu/product.h"
#include "engine/cpu/split_plan.h"
#include "engine/cpu/thread_team.h"
#include "engine/cpu/workspace.h"

namespace tailor {
namespace {

// Sequences that go through the layers together, packed in this order, and the rows of them that
// are this thread's: all, unless the threads share the group.
struct Group {
  std::span<const int> sequences;  // indices into the batch
  int begin = 0;
  int end = 0;
};

// One thread's part of one Run.
class ForwardPass {
 public:
  // team is null when this thread has its sequences to itself and waits for nobody.
  ForwardPass(const PackedModel& model, const KernelSet& kernels, const Batch& batch, int thread,
              ThreadTeam* team, GroupMemory& group, ThreadMemory& mine, std::span<float> outputs)
      : model_(model),
        kernels_(kernels),
        batch_(batch),
        thread_(thread),
        team_(team),
        is_bf16_(model.format == WeightFormat::kBf16),
        hidden_(group.hidden.View(model.config.hidden, true, is_bf16_)),
        group_memory_(group),
        mine_(mine),
        outputs_(outputs) {
    mine_.first_sequences.clear();
  }

  // Every layer for one group; of the last one only what all rows need, when the head reads first
  // rows only (Finish does the rest for all groups at once).
  void Encode(const Group& group) {
    Embed(group);
    const std::vector<LayerShape>& layers = model_.config.layers;
    for (size_t i = 0; i < layers.size(); ++i) {
      const bool first_rows_only = model_.reads_first_rows && i + 1 == layers.size();
      const PackedAttention& attention = model_.attention[layers[i].attention];
      const PackedLinear& projection =
          first_rows_only ? attention.key_value : attention.query_key_value;
      const Rows projected = group_memory_.query_key_value[team_ == nullptr ? 0 : i % 2].View(
          projection.product->spec().out, true, false);
      ForEachBlock(group.begin, group.end, [&](int begin, int rows) {
        Multiply(projection, hidden_.From(begin), rows, projected.From(begin));
      });
      Meet();  // attention reads the keys and values of every row of a sequence
      if (first_rows_only) return AttendFirstRows(group, layers[i], attention.query, projected);
      const Rows context =
          group_memory_.context.View(layers[i].attention_dim(), !is_bf16_, is_bf16_);
      Attend(group, layers[i], projected, context);
      ForEachBlock(group.begin, group.end, [&](int begin, int rows) {
        FinishLayer(layers[i], context.From(begin), hidden_.From(begin), rows);
      });
    }
    Meet();  // pooling reads every row of a sequence
    PoolMeans(group);
  }

  // The last layer's rest and the head for the first rows that Encode has left. False when a
  // product failed.
  bool Finish() {
    if (!model_.reads_first_rows) return is_ok_;
    const LayerShape& layer = model_.config.layers.back();
    const Rows hidden = mine_.first_hidden.View(model_.config.hidden, true, is_bf16_);
    const Rows context = mine_.first_context.View(layer.attention_dim(), !is_bf16_, is_bf16_);
    const std::span<const int> sequences = mine_.first_sequences;
    ForEachBlock(0, static_cast<int>(sequences.size()), [&](int begin, int rows) {
      FinishLayer(layer, context.From(begin), hidden.From(begin), rows);
      Classify(hidden.From(begin), sequences.subspan(begin, rows));
    });
    return is_ok_;
  }

 private:
  void Meet() {
    if (team_ != nullptr) team_->Barrier();
  }

  // Rows in blocks that stay in the cache from one step to the next.
  template <typename Step>
  void ForEachBlock(int begin, int end, const Step& step) {
    for (; begin < end; begin += kMaxProductRows) {
      step(begin, std::min(kMaxProductRows, end - begin));
    }
  }

  // Calls step(sequence, its first row in the group, first row of this thread, one past the last)
  // for each sequence of which this thread has rows.
  template <typename Step>
  void ForEachSequence(const Group& group, const Step& step) {
    int first = 0;
    for (const int sequence : group.sequences) {
      const int next = first + batch_.sequence_tokens(sequence);
      const int begin = std::max(first, group.begin);
      const int end = std::min(next, group.end);
      if (begin < end) step(sequence, first, begin, end);
      first = next;
    }
  }

  void Multiply(const PackedLinear& linear, const Rows& x, int rows, const Rows& y) {
    is_ok_ &= linear.product->Run(thread_, linear.matrix, x.product_input(), rows, y.f32,
                                  mine_.product_scratch.data());
  }

  void Embed(const Group& group) {
    ForEachSequence(group, [&](int sequence, int first, int begin, int end) {
      const int token = batch_.sequence_offsets[sequence] + (begin - first);
      const Rows out = hidden_.From(begin);
      kernels_.embed_layer_norm({.token_ids = batch_.token_ids.data() + token,
                                 .type_ids = batch_.token_type_ids.data() + token,
                                 .first_position = begin - first,
                                 .word_table = model_.word_embeddings.data(),
                                 .position_table = model_.position_embeddings.data(),
                                 .type_table = model_.token_type_embeddings.empty()
                                                   ? nullptr
                                                   : model_.token_type_embeddings.data(),
                                 .gamma = model_.embedding_norm.gamma.data(),
                                 .beta = model_.embedding_norm.beta.data(),
                                 .eps = model_.config.layer_norm_eps,
                                 .rows = end - begin,
                                 .hidden = model_.config.hidden,
                                 .out = out.f32,
                                 .out_bf16 = out.bf16});
    });
  }

  void Attend(const Group& group, const LayerShape& layer, const Rows& projected,
              const Rows& context) {
    ForEachSequence(group, [&](int sequence, int first, int begin, int end) {
      const float* keys = projected.From(first).f32 + layer.attention_dim();
      Attention(layer, projected.From(begin), end - begin, keys, projected.width,
                batch_.sequence_tokens(sequence), context.From(begin));
    });
  }

  // The last layer's query and attention for the first rows of the group that this thread has.
  void AttendFirstRows(const Group& group, const LayerShape& layer, const PackedLinear& projection,
                       const Rows& projected) {
    std::vector<int>& sequences = mine_.first_sequences;
    const size_t done = sequences.size();
    const Rows first_rows = mine_.first_hidden.View(model_.config.hidden, true, is_bf16_);
    ForEachSequence(group, [&](int sequence, int first, int begin, int) {
      if (begin != first) return;  // another thread has its first row
      CopyRow(hidden_.From(first), first_rows.From(sequences.size()));
      sequences.push_back(sequence);
    });
    const Rows query = mine_.first_query.View(layer.attention_dim(), true, false);
    ForEachBlock(static_cast<int>(done), static_cast<int>(sequences.size()),
                 [&](int begin, int rows) {
                   Multiply(projection, first_rows.From(begin), rows, query.From(begin));
                 });
    const Rows context = mine_.first_context.View(layer.attention_dim(), !is_bf16_, is_bf16_);
    size_t row = done;
    ForEachSequence(group, [&](int sequence, int first, int begin, int) {
      if (begin != first) return;
      Attention(layer, query.From(row), 1, projected.From(first).f32, projected.width,
                batch_.sequence_tokens(sequence), context.From(row));
      ++row;
    });
  }

  // keys: the first key of the sequence; its values follow attention_dim further in each row.
  void Attention(const LayerShape& layer, const Rows& query, int num_queries, const float* keys,
                 size_t key_value_stride, int num_keys, const Rows& context) {
    kernels_.attention({.query = query.f32,
                        .key = keys,
                        .value = keys + layer.attention_dim(),
                        .query_stride = query.width,
                        .key_value_stride = key_value_stride,
                        .num_queries = num_queries,
                        .num_keys = num_keys,
                        .num_heads = layer.num_heads,
                        .head_dim = layer.head_dim,
                        .scratch = mine_.attention_scratch.data(),
                        .context = context.f32,
                        .context_bf16 = context.bf16});
  }

  // What follows attention, in place on `hidden`: output product, norm, feed-forward, norm.
  void FinishLayer(const LayerShape& layer, const Rows& context, const Rows& hidden, int rows) {
    const PackedAttention& attention = model_.attention[layer.attention];
    const PackedFfn& ffn = model_.ffn[layer.ffn];
    const Rows product = mine_.product.View(hidden.width, true, false);
    const Rows inner = mine_.inner.View(layer.ffn_dim, true, is_bf16_);
    Multiply(attention.output, context, rows, product);
    AddAndNormalize(product, attention.output.bias, attention.norm, hidden, rows);
    Multiply(ffn.in, hidden, rows, inner);
    kernels_.bias_activation({.x = inner.f32,
                              .bias = ffn.in.bias.data(),
                              .activation = model_.activation,
                              .rows = rows,
                              .columns = layer.ffn_dim,
                              .out = is_bf16_ ? nullptr : inner.f32,
                              .out_bf16 = inner.bf16});
    Multiply(ffn.out, inner, rows, product);
    AddAndNormalize(product, ffn.out.bias, ffn.norm, hidden, rows);
  }

  // hidden = LayerNorm(x + bias + hidden)
  void AddAndNormalize(const Rows& x, const std::vector<float>& bias, const PackedNorm& norm,
                       const Rows& hidden, int rows) {
    kernels_.bias_residual_layer_norm({.x = x.f32,
                                       .bias = bias.data(),
                                       .residual = hidden.f32,
                                       .gamma = norm.gamma.data(),
                                       .beta = norm.beta.data(),
                                       .eps = model_.config.layer_norm_eps,
                                       .rows = rows,
                                       .hidden = model_.config.hidden,
                                       .out = hidden.f32,
                                       .out_bf16 = hidden.bf16});
  }

  // Outputs of `sequences` from their first rows, one row of `hidden` each.
  void Classify(const Rows& hidden, std::span<const int> sequences) {
    const HeadConfig& head = model_.config.head;
    const int rows = static_cast<int>(sequences.size());
    Rows pooled = hidden;
    if (head.kind == HeadKind::kClassifier && head.pooler != PoolerActivation::kNone) {
      pooled = mine_.product.View(hidden.width, true, false);
      const Rows f32_only = {.f32 = hidden.f32, .width = hidden.width};  // the head is f32 always
      Multiply(model_.pooler, f32_only, rows, pooled);
      kernels_.bias_activation({.x = pooled.f32,
                                .bias = model_.pooler.bias.data(),
                                .activation = PoolerKernel(head.pooler),
                                .rows = rows,
                                .columns = model_.config.hidden,
                                .out = pooled.f32,
                                .out_bf16 = nullptr});
    }
    for (int row = 0; row < rows; ++row) {
      WriteOutput(model_, pooled.From(row).f32, Output(sequences[row]));
    }
  }

  // Embedding heads that average all rows of a sequence; the thread that has its first row does it.
  void PoolMeans(const Group& group) {
    ForEachSequence(group, [&](int sequence, int first, int begin, int) {
      if (begin != first) return;
      const std::span<float> output = Output(sequence);
      MeanRows(hidden_.From(first).f32, batch_.sequence_tokens(sequence), output);
      if (model_.config.head.normalize) NormalizeLength(output);
    });
  }

  std::span<float> Output(int sequence) {
    const size_t width = model_.config.head.num_outputs;
    return outputs_.subspan(sequence * width, width);
  }

  static void CopyRow(const Rows& from, const Rows& to) {
    std::copy_n(from.f32, from.width, to.f32);
    if (from.bf16 != nullptr) std::copy_n(from.bf16, from.width, to.bf16);
  }

  const PackedModel& model_;
  const KernelSet& kernels_;
  const Batch& batch_;
  const int thread_;
  ThreadTeam* const team_;
  const bool is_bf16_;
  const Rows hidden_;  // [rows of the group, hidden]
  GroupMemory& group_memory_;
  ThreadMemory& mine_;
  const std::span<float> outputs_;
  bool is_ok_ = true;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend(const CpuBackendOptions& options, CpuIsa isa, std::unique_ptr<ProductLibrary> library)
      : info_{.device = "cpu",
              .isa = std::string(CpuIsaName(isa)),
              .threads = options.threads,
              .limits = options.limits},
        kernels_(KernelsFor(isa)),
        library_(std::move(library)),
        workspace_(options.limits, options.threads),
        team_(options.threads) {
    ReservePlan(options.limits.max_sequences, options.threads, plan_);
  }

  const BackendInfo& info() const override { return info_; }

  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override {
    if (package.format == WeightFormat::kBf16 && !kernels_.has_bf16_outputs) {
      return absl::FailedPreconditionError(
          absl::StrCat(package.id,
                       ": expected a CPU with AMX for bf16 products, which are slower than f32 "
                       "without; cpu_isa is ",
                       info_.isa));
    }
    TAILOR_ASSIGN_OR_RETURN(PackedModel model, PackModel(package, *library_));
    workspace_.Grow(model);
    models_.push_back(std::move(model));
    return LoadedCut{.cut = {.variant = static_cast<int>(models_.size()) - 1},
                     .num_outputs = package.config.head.num_outputs,
                     .packed_bytes = models_.back().bytes,
                     .kernels = models_.back().kernels};
  }

  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override {
    TAILOR_RETURN_IF_ERROR(Check(cut, batch, outputs));
    if (batch.num_sequences() == 0) return absl::OkStatus();
    const PackedModel& model = models_[cut.variant];
    PlanSplit(batch.sequence_offsets, info_.threads, workspace_.max_shared_rows(), plan_);
    std::atomic<bool> is_ok = true;
    team_.Run([&](int thread) {
      if (!RunThread(model, batch, thread, outputs)) is_ok.store(false);
    });
    if (!is_ok.load()) return absl::InternalError("oneDNN refused to run a product");
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!std::isfinite(outputs[i])) {
        return absl::InternalError(
            absl::StrCat("sequence ", i / model.config.head.num_outputs, ": output is not finite"));
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Check(Cut cut, const Batch& batch, std::span<const float> outputs) const {
    const int variants = static_cast<int>(models_.size());
    if (cut.variant < 0 || cut.variant >= variants || cut.sub_network != 0) {
      return absl::InvalidArgumentError(absl::StrCat("cut: expected variant below ", variants,
                                                     " and sub-network 0, got ", cut.variant,
                                                     " and ", cut.sub_network));
    }
    const BertConfig& config = models_[cut.variant].config;
    BatchLimits limits = info_.limits;
    limits.max_sequence_tokens = std::min(limits.max_sequence_tokens, config.max_positions);
    TAILOR_RETURN_IF_ERROR(batch.Validate(limits, config.vocab_size, config.num_token_types));
    const size_t expected = static_cast<size_t>(batch.num_sequences()) * config.head.num_outputs;
    if (outputs.size() == expected) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("outputs: expected ", expected, " values, got ", outputs.size()));
  }

  bool RunThread(const PackedModel& model, const Batch& batch, int thread,
                 std::span<float> outputs) {
    ThreadMemory& mine = workspace_.thread(thread);
    if (plan_.is_shared) {
      ForwardPass pass(model, kernels_, batch, thread, &team_, workspace_.shared(), mine, outputs);
      pass.Encode({plan_.sequences, plan_.first_row[thread], plan_.first_row[thread + 1]});
      return pass.Finish();
    }
    ForwardPass pass(model, kernels_, batch, thread, nullptr, mine.group, mine, outputs);
    std::span<const int> rest =
        std::span<const int>(plan_.sequences)
            .subspan(plan_.first[thread], plan_.first[thread + 1] - plan_.first[thread]);
    while (!rest.empty()) {
      const Group group = TakeGroup(batch, rest);
      pass.Encode(group);
      rest = rest.subspan(group.sequences.size());
    }
    return pass.Finish();
  }

  // The first sequences of `rest`: as many as fit, but groups of about the same size.
  static Group TakeGroup(const Batch& batch, std::span<const int> rest) {
    int total = 0;
    for (const int sequence : rest) total += batch.sequence_tokens(sequence);
    const int groups = (total + Workspace::kGroupRows - 1) / Workspace::kGroupRows;
    const int target = (total + groups - 1) / groups;
    int rows = batch.sequence_tokens(rest[0]);
    size_t count = 1;
    for (; count < rest.size(); ++count) {
      const int next = batch.sequence_tokens(rest[count]);
      if (rows + next > Workspace::kGroupRows || rows + next / 2 > target) break;
      rows += next;
    }
    return {rest.first(count), 0, rows};
  }

  const BackendInfo info_;
  const KernelSet& kernels_;
  const std::unique_ptr<ProductLibrary> library_;
  std::vector<PackedModel> models_;  // indexed by Cut::variant
  Workspace workspace_;
  SplitPlan plan_;
  ThreadTeam team_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> CreateCpuBackend(const CpuBackendOptions& options) {
  if (options.threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads: expected at least 1, got ", options.threads));
  }
  TAILOR_ASSIGN_OR_RETURN(const CpuIsa isa, ChooseCpuIsa(options.cpu_isa));
  TAILOR_ASSIGN_OR_RETURN(
      std::unique_ptr<ProductLibrary> library,
      ProductLibrary::Create(isa, /*is_forced=*/options.cpu_isa != "auto", options.threads));
  return std::make_unique<CpuBackend>(options, isa, std::move(library));
}

}  // namespace tailor
