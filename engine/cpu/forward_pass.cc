// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/forward_pass.h"

#include <algorithm>
#include <vector>

#include "engine/cpu/encoder_steps.h"
#include "engine/cpu/head.h"
#include "engine/cpu/product.h"
#include "engine/cpu/sequence_group.h"

namespace tailor {
namespace {

struct RowRange {
  int begin = 0;
  int end = 0;

  int size() const { return end - begin; }
};

// Rows in blocks that stay in the cache from one step to the next.
template <typename Step>
void ForEachBlock(RowRange rows, const Step& step) {
  for (; rows.begin < rows.end; rows.begin += kMaxProductRows) {
    step(rows.begin, std::min(kMaxProductRows, rows.end - rows.begin));
  }
}

// One thread's part of one batch. Threads divide the work in one of four ways:
//   sequences  each has whole ones, in groups, and meets nobody;
//   rows       each has some rows of all sequences, and they meet before attention;
//   panels     rows, but of a large feed-forward each has some inner neurons, for all rows;
//   outputs    each has some outputs of every product, for all rows, and some rows of all else.
class ForwardPass {
 public:
  ForwardPass(const ForwardPassArgs& args, int thread)
      : model_(args.model),
        layers_(args.model.config.layers),
        batch_(args.batch),
        plan_(args.plan),
        team_(args.team),
        workspace_(args.workspace),
        outputs_(args.outputs),
        thread_(thread),
        group_(plan_.is_shared ? workspace_.shared() : workspace_.thread(thread).group),
        mine_(workspace_.thread(plan_.shares_outputs ? 0 : thread)),
        hidden_(group_.hidden.View(model_.config.hidden)),
        steps_(model_, args.kernels, batch_, thread, workspace_.thread(thread)) {}

  bool Run() {
    if (!plan_.shares_outputs || thread_ == 0) mine_.first_sequences.clear();
    if (plan_.is_shared) {
      Encode({plan_.sequences, plan_.first_row[thread_], plan_.first_row[thread_ + 1]});
    } else {
      const int first = plan_.first[thread_];
      std::span<const int> rest = plan_.sequences;
      rest = rest.subspan(first, plan_.first[thread_ + 1] - first);
      while (!rest.empty()) {
        const SequenceGroup group = TakeGroup(batch_, rest);
        Encode(group);
        rest = rest.subspan(group.sequences.size());
      }
    }
    if (model_.reads_first_rows) Finish();
    return steps_.is_ok();
  }

 private:
  // Every layer for one group; of the last one only what needs all rows when the head reads first
  // rows only: Finish does the rest for all groups at once.
  void Encode(const SequenceGroup& group) {
    own_ = {group.begin, group.end};
    const Rows embedded = hidden_.For(InputOf(0));
    ForEachPart(batch_, group,
                [&](const SequencePart& part) { steps_.Embed(part, embedded.From(part.begin)); });
    for (size_t i = 0; i < layers_.size(); ++i) {
      const PackedAttention& attention = model_.attention[layers_[i].attention];
      if (model_.reads_first_rows && i + 1 == layers_.size()) {
        AttendFirstRows(group, layers_[i], Project(i, attention.key_value));
        return;
      }
      const Rows context = AttendAllRows(group, layers_[i], Project(i, attention.query_key_value));
      if (SharesPanels(layers_[i])) {
        FinishLayerByPanels(layers_[i], context, InputOf(i + 1));
        continue;
      }
      ForEachBlock(RowsOfProducts(), [&](int begin, int rows) {
        FinishLayer(layers_[i], context.From(begin), hidden_.From(begin), rows, InputOf(i + 1));
      });
    }
    Meet();  // a mean reads every row of a sequence
    PoolMeans(group);
  }

  // The last layer's rest and the head, for the first rows that Encode has left.
  void Finish() {
    const LayerShape& layer = layers_.back();
    const Rows hidden = mine_.first_hidden.View(model_.config.hidden);
    const StepInput& tiles = model_.attention[layer.attention].context;
    const Rows context = mine_.first_context.View(layer.attention_dim(), tiles);
    const std::span<const int> sequences = mine_.first_sequences;
    ForEachBlock({0, static_cast<int>(sequences.size())}, [&](int begin, int rows) {
      FinishLayer(layer, context.From(begin), hidden.From(begin), rows, {});
      if (!plan_.shares_outputs || thread_ == 0) {
        WriteOutputs(hidden.From(begin), sequences.subspan(begin, rows));
      }
    });
  }

  // The projections of layer i, of all rows that attention may read.
  Rows Project(size_t i, const PackedLinear& projection) {
    RowBuffer& buffer = group_.query_key_value[plan_.is_shared ? i % 2 : 0];
    const bool is_half = model_.attention[layers_[i].attention].is_half;
    const Rows projected = buffer.View(projection.step->out(), is_half);
    const Rows hidden = hidden_.For(InputOf(i));
    ForEachBlock(RowsOfProducts(), [&](int begin, int rows) {
      Multiply(projection, hidden.From(begin), rows, projected.From(begin));
    });
    Meet();  // attention reads the keys and values of every row of a sequence
    return projected;
  }

  // The context of the group's rows.
  Rows AttendAllRows(const SequenceGroup& group, const LayerShape& layer, const Rows& projected) {
    const StepInput& tiles = model_.attention[layer.attention].context;
    const Rows context = group_.context.View(layer.attention_dim(), tiles);
    ForEachPart(batch_, group, [&](const SequencePart& part) {
      steps_.Attention(layer, projected.From(part.begin), part.end - part.begin,
                       projected.From(part.first).Columns(layer.attention_dim()),
                       batch_.sequence_tokens(part.sequence), context.From(part.begin));
    });
    return context;
  }

  // The last layer's query and attention for the first rows of the group that this thread has, or
  // when outputs are shared, the first thread all. The rows are kept apart, for Finish.
  void AttendFirstRows(SequenceGroup group, const LayerShape& layer, const Rows& key_value) {
    const PackedAttention& attention = model_.attention[layer.attention];
    std::vector<int>& sequences = mine_.first_sequences;
    const int done = plan_.shares_outputs ? 0 : static_cast<int>(sequences.size());
    const Rows hidden = mine_.first_hidden.View(model_.config.hidden);
    const Rows query = mine_.first_query.View(layer.attention_dim(), attention.is_half);
    const Rows context = mine_.first_context.View(layer.attention_dim(), attention.context);
    if (plan_.shares_outputs) {
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
    const int count =
        plan_.shares_outputs ? batch_.num_sequences() : static_cast<int>(sequences.size());
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
    return plan_.is_shared && batch_.num_tokens() <= kMaxProductRows &&
           ffn.bytes > kSharedFfnBytes && static_cast<int>(ffn.panels.size()) >= team_.size();
  }

  // FinishLayer with the norms on this thread's rows and its panels on the rows of all threads.
  void FinishLayerByPanels(const LayerShape& layer, const Rows& context, const StepInput& next) {
    const PackedAttention& attention = model_.attention[layer.attention];
    const PackedFfn& ffn = model_.ffn[layer.ffn];
    const Rows product = mine_.product.View(hidden_.width);
    const Rows all = hidden_.For({});
    const Rows hidden = all.From(own_.begin);
    const int rows = own_.size();
    if (rows > 0) {
      steps_.Multiply(attention.output, context.From(own_.begin), rows, product);
      steps_.BiasResidualLayerNorm(product, attention.output.bias, attention.norm, hidden, rows);
    }
    Meet();  // the panels read every row
    const int all_rows = batch_.num_tokens();
    if (thread_ > 0) std::fill_n(product.f32, all_rows * product.width, 0.0F);  // its panels add
    for (size_t p = thread_; p < ffn.panels.size(); p += team_.size()) {
      MultiplyPanel(ffn.panels[p], all, all_rows, product);
    }
    Meet();  // a row of the result is the sum of what all panels contribute
    if (rows == 0) return;
    const Rows sum = mine_.product_sum.View(hidden_.width);
    workspace_.SumProducts(own_.begin, rows, sum);
    steps_.BiasResidualLayerNorm(sum, ffn.bias, ffn.norm, hidden.For(next), rows);
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

  // y = the product of `rows` rows: by this thread or, a share of its outputs each, by all.
  void Multiply(const PackedLinear& linear, const Rows& x, int rows, const Rows& y) {
    if (!plan_.shares_outputs) return steps_.Multiply(linear, x, rows, y);
    const StepInput input = linear.step->input();
    const Rows tiles = x.For(input);
    if (!x.HasTilesFor(input)) steps_.StoreTiles(tiles.From(own_.begin), own_.size());
    Meet();  // every row of x is there
    EncoderSteps::MultiplyShare(linear, tiles, rows, y, thread_, team_.size());
    Meet();  // every output is there
    if (y.HasTiles() && !linear.step->GivesTiles(y)) {
      steps_.StoreTiles(y.From(own_.begin), own_.size());
    }
  }

  // hidden = LayerNorm(product + bias + hidden), this thread's of `rows` rows
  void Norm(const Rows& product, const std::vector<float>& bias, const PackedNorm& norm,
            const Rows& hidden, int rows) {
    const RowRange own = plan_.shares_outputs ? own_ : RowRange{0, rows};
    steps_.BiasResidualLayerNorm(product.From(own.begin), bias, norm, hidden.From(own.begin),
                                 own.size());
  }

  void Meet() {
    if (plan_.is_shared) team_.Barrier();
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

  std::span<float> Output(int sequence) const {
    const size_t width = model_.config.head.num_outputs;
    return outputs_.subspan(sequence * width, width);
  }

  // Rows of the products that this thread takes part in.
  RowRange RowsOfProducts() const {
    return plan_.shares_outputs ? RowRange{0, batch_.num_tokens()} : own_;
  }

  // What the projections of a layer read; nothing behind the last one.
  StepInput InputOf(size_t layer) const {
    return layer < layers_.size() ? model_.attention[layers_[layer].attention].input : StepInput{};
  }

  const PackedModel& model_;
  const std::vector<LayerShape>& layers_;
  const Batch& batch_;
  const SplitPlan& plan_;
  ThreadTeam& team_;
  Workspace& workspace_;
  const std::span<float> outputs_;
  const int thread_;
  GroupMemory& group_;
  ThreadMemory& mine_;  // of all threads when outputs are shared: the first one's
  const Rows hidden_;   // [rows of the group, hidden]
  RowRange own_ = {};   // this thread's rows; of shared outputs, those that it does the rest for
  EncoderSteps steps_;
};

}  // namespace

bool RunForwardPass(const ForwardPassArgs& args, int thread) {
  return ForwardPass(args, thread).Run();
}

}  // namespace tailor
