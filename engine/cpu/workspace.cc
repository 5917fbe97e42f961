// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/workspace.h"

#include <algorithm>

#include "engine/cpu/sequence_group.h"

namespace tailor {
namespace {

// Products write whole buckets of rows (product.h), so every buffer has room for one more.
constexpr size_t kBucketRows = 16;

template <typename T>
void GrowBuffer(AlignedBuffer<T>& buffer, size_t size) {
  if (buffer.size() < size) buffer = AlignedBuffer<T>(size);
}

void GrowGroup(GroupMemory& group, size_t rows, const PackedModel& model, bool is_shared) {
  const bool reads_bf16 = model.reads_bf16;
  const size_t attention = model.max_attention_dim();
  group.hidden.Grow(rows, model.config.hidden, true, reads_bf16);
  group.query_key_value[0].Grow(rows, 3 * attention, true, false);
  if (is_shared) group.query_key_value[1].Grow(rows, 3 * attention, true, false);
  group.context.Grow(rows, attention, true, reads_bf16);
}

}  // namespace

void CopyRow(const Rows& from, const Rows& to) {
  std::copy_n(from.f32, from.width, to.f32);
  if (from.bf16 != nullptr) std::copy_n(from.bf16, from.width, to.bf16);
}

void RowBuffer::Grow(size_t rows, size_t width, bool wants_f32, bool wants_bf16) {
  const size_t size = (rows + kBucketRows) * width;
  if (wants_f32) GrowBuffer(f32_, size);
  if (wants_bf16) GrowBuffer(bf16_, size);
}

Rows RowBuffer::View(size_t width, bool wants_f32, bool wants_bf16) {
  return {wants_f32 ? f32_.data() : nullptr, wants_bf16 ? bf16_.data() : nullptr, width};
}

Workspace::Workspace(const BatchLimits& limits, int threads)
    : limits_(limits),
      max_group_rows_(std::max(kGroupRows, limits.max_sequence_tokens)),
      max_shared_rows_(threads == 1
                           ? 0
                           : std::min(limits.max_tokens,
                                      std::max(kGroupRows * threads, limits.max_sequence_tokens))),
      threads_(threads) {}

void Workspace::Grow(const PackedModel& model) {
  const bool reads_bf16 = model.reads_bf16;
  const size_t hidden = model.config.hidden;
  const size_t attention = model.max_attention_dim();
  const size_t sequences = limits_.max_sequences;
  if (max_shared_rows_ > 0) GrowGroup(shared_, max_shared_rows_, model, /*is_shared=*/true);
  for (ThreadMemory& t : threads_) {
    GrowGroup(t.group, max_group_rows_, model, /*is_shared=*/false);
    t.product.Grow(kMaxProductRows, hidden, true, false);
    if (threads_.size() > 1) t.product_sum.Grow(kMaxProductRows, hidden, true, false);
    t.inner.Grow(kMaxProductRows, model.max_ffn_panel(), true, reads_bf16);
    t.first_hidden.Grow(sequences, hidden, true, reads_bf16);
    t.first_query.Grow(sequences, attention, true, false);
    t.first_context.Grow(sequences, attention, true, reads_bf16);
    GrowBuffer(t.attention_scratch,
               AttentionScratch(limits_.max_sequence_tokens, model.max_head_dim()));
    GrowBuffer(t.step_scratch, model.scratch_bytes);
    t.first_sequences.reserve(sequences);
  }
}

void Workspace::SumProducts(int first_row, int rows, const Rows& out) {
  const size_t size = rows * out.width;
  for (size_t t = 0; t < threads_.size(); ++t) {
    const float* product = threads_[t].product.View(out.width, true, false).From(first_row).f32;
    if (t == 0) {
      std::copy_n(product, size, out.f32);
    } else {
      for (size_t i = 0; i < size; ++i) out.f32[i] += product[i];
    }
  }
}

}  // namespace tailor
