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
  const size_t attention = model.max_attention_dim();
  group.hidden.Grow(rows, model.config.hidden, model.tile_value_bytes);
  group.query_key_value[0].Grow(rows, 3 * attention);
  if (is_shared) group.query_key_value[1].Grow(rows, 3 * attention);
  group.context.Grow(rows, attention, model.tile_value_bytes);
}

}  // namespace

void CopyRow(const Rows& from, const Rows& to) { std::copy_n(from.f32, from.width, to.f32); }

void RowBuffer::Grow(size_t rows, size_t width, size_t tile_value_bytes) {
  GrowBuffer(f32_, (rows + kBucketRows) * width);
  if (tile_value_bytes == 0) return;
  const size_t tile_rows = (rows + kTileRows - 1) / kTileRows * kTileRows;
  const size_t tile_columns = (width + kTileRowBytes - 1) / kTileRowBytes * kTileRowBytes;
  GrowBuffer(tiles_, tile_rows * tile_columns * tile_value_bytes);
  GrowBuffer(scales_, tile_rows);
}

Rows RowBuffer::View(size_t width, const StepInput& input) {
  return Rows{.f32 = f32_.data(),
              .width = width,
              .tiles = {.data = tiles_.data(),
                        .columns = static_cast<int>(width),
                        .scales = scales_.data()}}
      .For(input);
}

Rows RowBuffer::View(size_t width, bool is_half) {
  Rows rows = View(width);
  if (is_half) rows.half = reinterpret_cast<uint16_t*>(f32_.data());
  return rows;
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
  const size_t hidden = model.config.hidden;
  const size_t attention = model.max_attention_dim();
  const size_t sequences = limits_.max_sequences;
  if (max_shared_rows_ > 0) GrowGroup(shared_, max_shared_rows_, model, /*is_shared=*/true);
  for (ThreadMemory& t : threads_) {
    GrowGroup(t.group, max_group_rows_, model, /*is_shared=*/false);
    t.product.Grow(kMaxProductRows, hidden);
    if (threads_.size() > 1) t.product_sum.Grow(kMaxProductRows, hidden);
    t.inner.Grow(kMaxProductRows, model.max_ffn_panel(), model.tile_value_bytes);
    t.first_hidden.Grow(sequences, hidden, model.tile_value_bytes);
    t.first_query.Grow(sequences, attention);
    t.first_context.Grow(sequences, attention, model.tile_value_bytes);
    GrowBuffer(t.attention_scratch,
               AttentionScratch(limits_.max_sequence_tokens, model.max_head_dim()));
    const bool has_half = std::any_of(model.attention.begin(), model.attention.end(),
                                      [](const PackedAttention& a) { return a.is_half; });
    if (has_half) {
      GrowBuffer(t.half_attention_scratch,
                 HalfAttentionScratch(limits_.max_sequence_tokens, model.max_head_dim()));
    }
    GrowBuffer(t.step_scratch, model.scratch_bytes);
    t.first_sequences.reserve(sequences);
  }
}

void Workspace::SumProducts(int first_row, int rows, const Rows& out) {
  const size_t size = rows * out.width;
  for (size_t t = 0; t < threads_.size(); ++t) {
    const float* product = threads_[t].product.View(out.width).From(first_row).f32;
    if (t == 0) {
      std::copy_n(product, size, out.f32);
    } else {
      for (size_t i = 0; i < size; ++i) out.f32[i] += product[i];
    }
  }
}

}  // namespace tailor
