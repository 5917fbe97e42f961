// SPDX-License-Identifier: Apache-2.0
// The forward pass, one call a fused step. Who computes which rows: split_plan.h, sequence_group.h.
// What a step does: encoder_steps.h and below it kernels/*.h and product.h. Where the rows are:
// workspace.h.
#include "engine/cpu/cpu_backend.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/api/check_run.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/encoder_steps.h"
#include "engine/cpu/head.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/packed_model.h"
#include "engine/cpu/product.h"
#include "engine/cpu/sequence_group.h"
#include "engine/cpu/split_plan.h"
#include "engine/cpu/thread_team.h"
#include "engine/cpu/workspace.h"

namespace tailor {
namespace {

struct RowRange {
  int begin = 0;
  int end = 0;

  int size() const { return end - begin; }
};

// One thread's part of one Run.
class ForwardPass {
 public:
  // team is null when this thread has its sequences to itself and waits for nobody. shares_outputs:
  // every thread computes its share of each product's outputs.
  ForwardPass(const PackedModel& model, const KernelSet& kernels, const Batch& batch, int thread,
              ThreadTeam* team, bool shares_outputs, Workspace& workspace, std::span<float> outputs)
      : model_(model),
        batch_(batch),
        team_(team),
        shares_outputs_(shares_outputs),
        workspace_(workspace),
        group_(team == nullptr ? workspace.thread(thread).group : workspace.shared()),
        mine_(workspace.thread(shares_outputs ? 0 : thread)),
        thread_(thread),
        hidden_(group_.hidden.View(model.config.hidden)),
        outputs_(outputs),
        steps_(model, kernels, batch, thread, workspace.thread(thread)) {
    if (!shares_outputs || thread == 0) mine_.first_sequences.clear();
  }

  // Every layer for one group; of the last one only what needs all rows when the head reads first
  // rows only: Finish does the rest for all groups at once.
  void Encode(const SequenceGroup& group) {
    const std::vector<LayerShape>& layers = model_.config.layers;
    const RowRange all =
        shares_outputs_ ? RowRange{0, batch_.num_tokens()} : RowRange{group.begin, group.end};
    own_ = {group.begin, group.end};
    const Rows embedded = hidden_.For(InputOf(0));
    ForEachPart(batch_, group,
                [&](const SequencePart& part) { steps_.Embed(part, embedded.From(part.begin)); });
    for (size_t i = 0; i < layers.size(); ++i) {
      const bool first_rows_only = model_.reads_first_rows && i + 1 == layers.size();
      const PackedAttention& attention = model_.attention[layers[i].attention];
      const PackedLinear& projection =
          first_rows_only ? attention.key_value : attention.query_key_value;
      const Rows projected = group_.query_key_value[team_ == nullptr ? 0 : i % 2].View(
          projection.step->out(), attention.is_half);
      const Rows hidden = hidden_.For(InputOf(i));
      ForEachBlock(all, [&](int begin, int rows) {
        Multiply(projection, hidden.From(begin), rows, projected.From(begin));
      });
      Meet();  // attention reads the keys and values of every row of a sequence
      if (first_rows_only) {
        AttendFirstRows(group, layers[i], projected);
        return;
      }
      const Rows context = group_.context.View(layers[i].attention_dim(), ContextInput(layers[i]));
      AttendAllRows(group, layers[i], projected, context);
      const StepInput next = InputOf(i + 1);
      if (SharesPanels(layers[i])) {
        FinishLayerTogether(group, layers[i], context);
        continue;
      }
      ForEachBlock(all, [&](int begin, int rows) {
        FinishLayer(layers[i], context.From(begin), hidden_.From(begin), rows, next);
      });
    }
    Meet();  // a mean reads every row of a sequence
    PoolMeans(group);
  }

  // The last layer's rest and the head for the first rows that Encode has left. False when a
  // product failed.
  bool Finish() {
    if (!model_.reads_first_rows) return steps_.is_ok();
    const LayerShape& layer = model_.config.layers.back();
    const Rows hidden = mine_.first_hidden.View(model_.config.hidden);
    const Rows context = mine_.first_context.View(layer.attention_dim(), ContextInput(layer));
    const std::span<const int> sequences = mine_.first_sequences;
    ForEachBlock({0, static_cast<int>(sequences.size())}, [&](int begin, int rows) {
      FinishLayer(layer, context.From(begin), hidden.From(begin), rows, {});
      if (!shares_outputs_ || thread_ == 0) {
        WriteOutputs(hidden.From(begin), sequences.subspan(begin, rows));
      }
    });
    return steps_.is_ok();
  }

 private:
  // What the projections of a layer read; nothing behind the last one.
  StepInput InputOf(size_t layer) const {
    const std::vector<LayerShape>& layers = model_.config.layers;
    return layer < layers.size() ? model_.attention[layers[layer].attention].input : StepInput{};
  }

  // The tiles that attention writes of its context: those that the output product reads, where it
  // can.
  StepInput ContextInput(const LayerShape& layer) const {
    const PackedAttention& attention = model_.attention[layer.attention];
    const StepInput input = attention.output.step->input();
    const bool gives_tiles = attention.is_half && IsHalf(input.type) && layer.head_dim % 16 == 0;
    return gives_tiles ? input : StepInput{};
  }

  void Meet() {
    if (team_ != nullptr) team_->Barrier();
  }

  // Rows in blocks that stay in the cache from one step to the next.
  template <typename Step>
  void ForEachBlock(RowRange rows, const Step& step) {
    for (; rows.begin < rows.end; rows.begin += kMaxProductRows) {
      step(rows.begin, std::min(kMaxProductRows, rows.end - rows.begin));
    }
  }

  // The part of a block of `rows` rows that is this thread's where outputs are not shared.
  RowRange Own(int rows) const { return shares_outputs_ ? own_ : RowRange{0, rows}; }

  // y = the product of `rows` rows: by this thread or, a share of its outputs each, by all.
  void Multiply(const PackedLinear& linear, const Rows& x, int rows, const Rows& y) {
    if (!shares_outputs_) return steps_.Multiply(linear, x, rows, y);
    const StepInput input = linear.step->input();
    const Rows tiles = x.For(input);
    if (!x.HasTilesFor(input)) steps_.StoreTiles(tiles.From(own_.begin), own_.size());
    Meet();  // every row of x is there
    EncoderSteps::MultiplyShare(linear, tiles, rows, y, thread_, team_->size());
    Meet();  // every output is there
    if (y.HasTiles() && !linear.step->GivesTiles(y)) {
      steps_.StoreTiles(y.From(own_.begin), own_.size());
    }
  }

  // hidden = LayerNorm(product + bias + hidden), this thread's of `rows` rows
  void Norm(const Rows& product, const std::vector<float>& bias, const PackedNorm& norm,
            const Rows& hidden, int rows) {
    const RowRange own = Own(rows);
    steps_.BiasResidualLayerNorm(product.From(own.begin), bias, norm, hidden.From(own.begin),
                                 own.size());
  }

  // What follows attention, in place on `hidden`: output product, norm, feed-forward, norm. `next`
  // is what reads the rows afterwards.
  void FinishLayer(const LayerShape& layer, const Rows& context, const Rows& hidden, int rows,
                   const StepInput& next) {
    const PackedAttention& attention = model_.attention[layer.attention];
    const PackedFfn& ffn = model_.ffn[layer.ffn];
    const Rows product = mine_.product.View(hidden.width);
    const Rows between = hidden.For(ffn.input);
    Multiply(attention.output, context, rows, product);
    Norm(product, attention.output.bias, attention.norm, between, rows);
    for (const PackedFfnPanel& panel : ffn.panels) MultiplyPanel(panel, between, rows, product);
    Norm(product, ffn.bias, ffn.norm, hidden.For(next), rows);
  }

  // Few rows leave a product waiting for its weights. Threads that share such a batch therefore
  // divide a large feed-forward by panels, so that each weight is read by one of them.
  bool SharesPanels(const LayerShape& layer) const {
    const PackedFfn& ffn = model_.ffn[layer.ffn];
    return team_ != nullptr && batch_.num_tokens() <= kMaxProductRows &&
           ffn.bytes > kSharedFfnBytes && static_cast<int>(ffn.panels.size()) >= team_->size();
  }

  // FinishLayer with the norms on this thread's rows and its panels on the rows of all threads.
  void FinishLayerTogether(const SequenceGroup& group, const LayerShape& layer,
                           const Rows& context) {
    const PackedAttention& attention = model_.attention[layer.attention];
    const PackedFfn& ffn = model_.ffn[layer.ffn];
    const Rows product = mine_.product.View(hidden_.width);
    const Rows hidden = hidden_.From(group.begin).For({});
    const int rows = group.end - group.begin;
    if (rows > 0) {
      steps_.Multiply(attention.output, context.From(group.begin), rows, product);
      steps_.BiasResidualLayerNorm(product, attention.output.bias, attention.norm, hidden, rows);
    }
    Meet();  // the panels read every row
    const int all_rows = batch_.num_tokens();
    if (thread_ > 0) std::fill_n(product.f32, all_rows * product.width, 0.0F);  // its panels add
    for (size_t p = thread_; p < ffn.panels.size(); p += team_->size()) {
      MultiplyPanel(ffn.panels[p], hidden_.For({}), all_rows, product);
    }
    Meet();  // a row of the result is the sum of what all panels contribute
    if (rows == 0) return;
    const Rows sum = mine_.product_sum.View(hidden_.width);
    workspace_.SumProducts(group.begin, rows, sum);
    steps_.BiasResidualLayerNorm(sum, ffn.bias, ffn.norm, hidden, rows);
  }

  void MultiplyPanel(const PackedFfnPanel& panel, const Rows& hidden, int rows,
                     const Rows& product) {
    const bool activates = panel.in.step->activates();
    const Rows inner =
        mine_.inner.View(panel.in.step->out(), activates ? panel.out.step->input() : StepInput{});
    Multiply(panel.in, hidden, rows, inner);
    if (!activates) steps_.BiasActivation(panel.in.bias, inner, rows);
    Multiply(panel.out, inner, rows, product);
  }

  void AttendAllRows(const SequenceGroup& group, const LayerShape& layer, const Rows& projected,
                     const Rows& context) {
    ForEachPart(batch_, group, [&](const SequencePart& part) {
      steps_.Attention(layer, projected.From(part.begin), part.end - part.begin,
                       projected.From(part.first).Columns(layer.attention_dim()),
                       batch_.sequence_tokens(part.sequence), context.From(part.begin));
    });
  }

  // The last layer's query and attention for the first rows of the group that this thread has, or
  // when outputs are shared, the first thread all. The rows are kept apart, for Finish.
  void AttendFirstRows(SequenceGroup group, const LayerShape& layer, const Rows& key_value) {
    const PackedAttention& attention = model_.attention[layer.attention];
    std::vector<int>& sequences = mine_.first_sequences;
    const int done = shares_outputs_ ? 0 : static_cast<int>(sequences.size());
    const Rows hidden = mine_.first_hidden.View(model_.config.hidden);
    const Rows query = mine_.first_query.View(layer.attention_dim(), attention.is_half);
    const Rows context = mine_.first_context.View(layer.attention_dim(), ContextInput(layer));
    if (shares_outputs_) {
      const bool is_first = thread_ == 0;
      group.begin = 0;
      group.end = is_first ? batch_.num_tokens() : 0;
      own_ = {0, is_first ? batch_.num_sequences() : 0};
    }
    ForEachPart(batch_, group, [&](const SequencePart& part) {
      if (!part.has_first_row()) return;
      CopyRow(hidden_.From(part.first), hidden.From(sequences.size()));
      sequences.push_back(part.sequence);
    });
    const int count = shares_outputs_ ? batch_.num_sequences() : static_cast<int>(sequences.size());
    ForEachBlock({done, count}, [&](int begin, int rows) {
      Multiply(attention.query, hidden.From(begin), rows, query.From(begin));
    });
    int row = done;
    ForEachPart(batch_, group, [&](const SequencePart& part) {
      if (!part.has_first_row()) return;
      steps_.Attention(layer, query.From(row), 1, key_value.From(part.first),
                       batch_.sequence_tokens(part.sequence), context.From(row));
      ++row;
    });
  }

  // Outputs of `sequences` from their first rows, one row of `hidden` each.
  void WriteOutputs(const Rows& hidden, std::span<const int> sequences) {
    const int rows = static_cast<int>(sequences.size());
    Rows pooled = hidden;
    if (model_.pooler.step != nullptr) {
      pooled = mine_.product.View(hidden.width);
      steps_.Pooler(hidden, rows, pooled);
    }
    for (int row = 0; row < rows; ++row) {
      WriteOutput(model_, pooled.From(row).f32, Output(sequences[row]));
    }
  }

  // Embedding heads that average all rows of a sequence; the thread that has its first row does it.
  void PoolMeans(const SequenceGroup& group) {
    ForEachPart(batch_, group, [&](const SequencePart& part) {
      if (!part.has_first_row()) return;
      const std::span<float> output = Output(part.sequence);
      MeanRows(hidden_.From(part.first).f32, batch_.sequence_tokens(part.sequence), output);
      if (model_.config.head.normalize) NormalizeLength(output);
    });
  }

  std::span<float> Output(int sequence) {
    const size_t width = model_.config.head.num_outputs;
    return outputs_.subspan(sequence * width, width);
  }

  const PackedModel& model_;
  const Batch& batch_;
  ThreadTeam* const team_;
  const bool shares_outputs_;
  Workspace& workspace_;
  GroupMemory& group_;
  ThreadMemory& mine_;  // of all threads when outputs are shared: the first one's
  const int thread_;
  RowRange own_ = {};  // of the rows of shared outputs, those that this thread does the rest for
  const Rows hidden_;  // [rows of the group, hidden]
  const std::span<float> outputs_;
  EncoderSteps steps_;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend(const CpuBackendOptions& options, CpuIsa isa, std::unique_ptr<ProductLibrary> library)
      : info_{.device = "cpu",
              .isa = std::string(CpuIsaName(isa)),
              .threads = options.threads,
              .cores = options.cores,
              .limits = options.limits,
              .choice = options.choice},
        kernels_(KernelsFor(isa)),
        library_(std::move(library)),
        workspace_(options.limits, options.threads),
        team_(options.threads, options.cores) {
    ReservePlan(options.limits.max_sequences, options.threads, plan_);
  }

  const BackendInfo& info() const override { return info_; }

  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override {
    if (package.format == WeightFormat::kBf16 && !kernels_.Has(TileType::kBf16)) {
      return absl::FailedPreconditionError(
          absl::StrCat(package.id,
                       ": expected a CPU with AMX for bf16 products, which are slower than f32 "
                       "without; cpu_isa is ",
                       info_.isa));
    }
    TAILOR_ASSIGN_OR_RETURN(PackedModel model, PackModel(package, *library_, kernels_, store_));
    workspace_.Grow(model);
    models_.push_back(std::move(model));
    return LoadedCut{.cut = {.variant = static_cast<int>(models_.size()) - 1},
                     .num_outputs = package.config.head.num_outputs,
                     .packed_bytes = models_.back().bytes,
                     .kernels = models_.back().kernels};
  }

  std::string_view last_split() const override {
    if (info_.threads == 1) return "";
    if (plan_.shares_outputs) return "outputs";
    return plan_.is_shared ? "rows" : "sequences";
  }

  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override {
    TAILOR_RETURN_IF_ERROR(CheckCut(cut, models_.size()));
    const PackedModel& model = models_[cut.variant];
    TAILOR_RETURN_IF_ERROR(CheckBatch(batch, info_.limits, model.config, outputs));
    if (batch.num_sequences() == 0) return absl::OkStatus();
    PlanSplit(batch.sequence_offsets, info_.threads,
              {.max_shared_rows = workspace_.max_shared_rows(),
               .max_output_rows = model.max_output_rows,
               .min_unit = model.tile_value_bytes > 0 ? kTileRows : 4},
              plan_);
    std::atomic<bool> is_ok = true;
    team_.Run([&](int thread) {
      if (!RunThread(model, batch, thread, outputs)) is_ok.store(false);
    });
    if (!is_ok.load()) return absl::InternalError("oneDNN refused to run a product");
    return CheckFinite(outputs, model.config.head.num_outputs);
  }

 private:
  bool RunThread(const PackedModel& model, const Batch& batch, int thread,
                 std::span<float> outputs) {
    if (plan_.is_shared) {
      ForwardPass pass(model, kernels_, batch, thread, &team_, plan_.shares_outputs, workspace_,
                       outputs);
      pass.Encode({plan_.sequences, plan_.first_row[thread], plan_.first_row[thread + 1]});
      return pass.Finish();
    }
    ForwardPass pass(model, kernels_, batch, thread, nullptr, /*shares_outputs=*/false, workspace_,
                     outputs);
    std::span<const int> rest =
        std::span<const int>(plan_.sequences)
            .subspan(plan_.first[thread], plan_.first[thread + 1] - plan_.first[thread]);
    while (!rest.empty()) {
      const SequenceGroup group = TakeGroup(batch, rest);
      pass.Encode(group);
      rest = rest.subspan(group.sequences.size());
    }
    return pass.Finish();
  }

  const BackendInfo info_;
  const KernelSet& kernels_;
  const std::unique_ptr<ProductLibrary> library_;
  std::vector<PackedModel> models_;  // indexed by Cut::variant
  Workspace workspace_;
  SplitPlan plan_;
  WeightStore store_;
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
