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

size_t LayOutIndices(const BatchLimits& limits, std::byte* begin,
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

size_t DeviceWorkspace::LayOut(const BatchLimits& limits, std::byte* begin,
                               DevicePlaces* places) const {
  const auto tokens = static_cast<size_t>(RoundedRows(limits.max_tokens));
  const auto sequences = static_cast<size_t>(RoundedRows(limits.max_sequences));
  const size_t index_bytes = LayOutIndices(limits, begin, &places->indices);
  Parts parts(begin == nullptr ? nullptr : begin + index_bytes);
  parts.Take(tokens * row_.residual, &places->residual);
  parts.Take(tokens * row_.hidden, &places->hidden);
  parts.Take(tokens * 3 * row_.attention, &places->projections);
  parts.Take(tokens * row_.attention, &places->context);
  parts.Take(tokens * row_.hidden, &places->product);
  parts.Take(tokens * row_.ffn, &places->inner);
  parts.Take(sequences * row_.residual, &places->first_residual);
  parts.Take(sequences * row_.hidden, &places->first_hidden);
  parts.Take(sequences * row_.attention, &places->first_query);
  parts.Take(sequences * row_.residual, &places->head);
  parts.Take(sequences * row_.output, &places->outputs);
  return index_bytes + parts.used();
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
  absl::Status reserved = Reserve(limits, kSpareBytes);
  if (reserved.ok()) {
    limits_ = limits;
    return absl::OkStatus();
  }
  row_ = rows_before;
  if (row_.hidden > 0) TAILOR_RETURN_IF_ERROR(Restore());
  return reserved;
}

absl::Status DeviceWorkspace::Shrink(const BatchLimits& limits) {
  limits_ = limits;
  return Reserve(limits_, 0);
}

absl::Status DeviceWorkspace::Restore() {
  return device_.bytes() > 0 ? absl::OkStatus() : Reserve(limits_, 0);
}

absl::Status DeviceWorkspace::Reserve(const BatchLimits& limits, size_t spare_bytes) {
  DevicePlaces places;
  const size_t device_bytes = LayOut(limits, nullptr, &places);
  size_t free_bytes = 0;
  TAILOR_RETURN_IF_ERROR(ToStatus(api_->FreeBytes(&free_bytes), "asking for free memory"));
  free_bytes += device_.bytes();
  if (device_bytes + spare_bytes > free_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("CUDA: expected ", device_bytes, " bytes for batches of ", limits.max_tokens,
                     " tokens and ", spare_bytes, " to spare, got ", free_bytes,
                     "; lower --max-batch-tokens or serve fewer variants"));
  }
  if (device_.bytes() != device_bytes) {
    device_.Free();
    TAILOR_ASSIGN_OR_RETURN(device_, Memory::Allocate(api_, Place::kDevice, device_bytes));
  }
  index_bytes_ = LayOutIndices(limits, nullptr, &places.indices);
  const size_t host_bytes = index_bytes_ + static_cast<size_t>(limits.max_sequences) * row_.output;
  if (host_.bytes() < host_bytes) {
    TAILOR_ASSIGN_OR_RETURN(host_, Memory::Allocate(api_, Place::kHost, host_bytes));
  }
  LayOut(limits, device_.as<std::byte>(), &device_places_);
  LayOutIndices(limits, host_.as<std::byte>(), &host_places_.indices);
  host_places_.outputs =
      static_cast<float*>(static_cast<void*>(host_.as<std::byte>() + index_bytes_));
  return absl::OkStatus();
}

}  // namespace tailor::cuda
