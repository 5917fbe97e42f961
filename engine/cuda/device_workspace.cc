// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/device_workspace.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace tailor::cuda {
namespace {

constexpr size_t kAlignment = 256;  // cudaMalloc's own, so that every matrix begins as well aligned

// Cuts a block into aligned parts; without a block it only counts.
class Parts {
 public:
  explicit Parts(std::byte* begin) : begin_(begin) {}

  template <typename T>
  void Take(size_t bytes, T** part) {
    *part = begin_ == nullptr ? nullptr : static_cast<T*>(static_cast<void*>(begin_ + used_));
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  size_t used() const { return used_; }

 private:
  std::byte* const begin_;
  size_t used_ = 0;
};

// All four in one piece, so that one copy brings them to the device.
size_t LayoutIndices(const BatchLimits& limits, std::byte* begin,
                     DeviceWorkspace::Indices* indices) {
  const size_t tokens = static_cast<size_t>(limits.max_tokens) * sizeof(int32_t);
  Parts parts(begin);
  parts.Take(tokens, &indices->ids);
  parts.Take(tokens, &indices->types);
  parts.Take(tokens, &indices->positions);
  parts.Take((static_cast<size_t>(limits.max_sequences) + 1) * sizeof(int32_t), &indices->offsets);
  return parts.used();
}

}  // namespace

size_t DeviceWorkspace::Layout(const BatchLimits& limits, std::byte* device) {
  const auto tokens = static_cast<size_t>(RoundedRows(limits.max_tokens));
  const auto sequences = static_cast<size_t>(RoundedRows(limits.max_sequences));
  Parts parts(device);
  std::byte* indices = nullptr;
  parts.Take(index_bytes_, &indices);
  if (device != nullptr) LayoutIndices(limits, indices, &indices_);
  parts.Take(tokens * row_.residual, &residual_);
  parts.Take(tokens * row_.hidden, &hidden_);
  parts.Take(tokens * 3 * row_.attention, &projections_);
  parts.Take(tokens * row_.attention, &context_);
  parts.Take(tokens * row_.hidden, &product_);
  parts.Take(tokens * row_.ffn, &inner_);
  parts.Take(sequences * row_.residual, &first_residual_);
  parts.Take(sequences * row_.hidden, &first_hidden_);
  parts.Take(sequences * row_.attention, &first_query_);
  parts.Take(sequences * row_.residual, &head_);
  parts.Take(sequences * row_.output, &outputs_);
  return parts.used();
}

absl::Status DeviceWorkspace::Grow(const DeviceModel& model, const BatchLimits& limits) {
  const RowBytes rows_before = row_;
  const size_t element = ByteSize(model.element);
  const auto grow = [](size_t* most, size_t size, int count) {
    *most = std::max(*most, size * static_cast<size_t>(count));
  };
  grow(&row_.hidden, element, model.config.hidden);
  grow(&row_.attention, element, model.max_attention_dim());
  grow(&row_.ffn, element, model.max_ffn_dim());
  grow(&row_.residual, sizeof(float), model.config.hidden);
  grow(&row_.output, sizeof(float), model.config.head.num_outputs);
  const absl::Status reserved = Reserve(limits);
  if (reserved.ok()) {
    limits_ = limits;
  } else if (rows_before.hidden > 0) {
    row_ = rows_before;
    TAILOR_RETURN_IF_ERROR(Reserve(limits_));
  }
  return reserved;
}

absl::Status DeviceWorkspace::Reserve(const BatchLimits& limits) {
  index_bytes_ = LayoutIndices(limits, nullptr, &host_indices_);
  const size_t output_bytes = static_cast<size_t>(limits.max_sequences) * row_.output;
  const size_t host_bytes = index_bytes_ + output_bytes;
  if (host_.bytes() < host_bytes) {
    host_.Free();
    TAILOR_ASSIGN_OR_RETURN(host_, Memory::Allocate(api_, Place::kHost, host_bytes));
  }
  LayoutIndices(limits, host_.as<std::byte>(), &host_indices_);
  host_outputs_ = static_cast<float*>(static_cast<void*>(host_.as<std::byte>() + index_bytes_));

  const size_t device_bytes = Layout(limits, nullptr);
  if (device_.bytes() < device_bytes) {
    device_.Free();
    size_t free_bytes = 0;
    TAILOR_RETURN_IF_ERROR(ToStatus(api_->FreeBytes(&free_bytes), "asking for free memory"));
    if (device_bytes + kSpareBytes > free_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("CUDA: expected ", device_bytes, " bytes for batches of ", limits.max_tokens,
                       " tokens and ", kSpareBytes, " to spare, got ", free_bytes,
                       " free; lower --max-batch-tokens or serve fewer variants"));
    }
    TAILOR_ASSIGN_OR_RETURN(device_, Memory::Allocate(api_, Place::kDevice, device_bytes));
  }
  Layout(limits, device_.as<std::byte>());
  return absl::OkStatus();
}

}  // namespace tailor::cuda
