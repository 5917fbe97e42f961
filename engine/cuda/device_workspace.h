// SPDX-License-Identifier: Apache-2.0
// Where a batch lies on its way through a model: all of it allocated at Load.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "engine/api/batch.h"
#include "engine/cuda/device_memory.h"
#include "engine/cuda/device_model.h"

namespace tailor::cuda {

// Products are made of a multiple of this many rows, so that there are few shapes to find an
// algorithm for; what the rows behind the last one hold, nobody reads.
constexpr int kRowUnit = 64;
constexpr int RoundedRows(int rows) { return CeilDivide(rows, kRowUnit) * kRowUnit; }

// Device memory that is left alone: the runtime loads kernels into it when they first run.
constexpr size_t kSpareBytes = size_t{256} << 20;

// Two blocks and what lies in them. Rows of the device's matrices follow each other without gaps,
// as wide as the present model needs; each has room for the widest model.
class DeviceWorkspace {
 public:
  // Integers of a batch.
  struct Indices {
    int32_t* ids = nullptr;        // [max_tokens]
    int32_t* types = nullptr;      // [max_tokens]
    int32_t* positions = nullptr;  // [max_tokens]
    int32_t* offsets = nullptr;    // [max_sequences + 1]
  };

  // In pinned memory of the host.
  struct HostPlaces {
    Indices indices;
    float* outputs = nullptr;  // [max_sequences, widest output]
  };

  // On the device. Of the model's element, unless another type is written.
  struct DevicePlaces {
    Indices indices;
    float* residual = nullptr;        // [max_tokens, hidden]
    void* hidden = nullptr;           // [max_tokens, hidden]
    void* projections = nullptr;      // [max_tokens, 3 * attention_dim]
    void* context = nullptr;          // [max_tokens, attention_dim]
    void* product = nullptr;          // [max_tokens, hidden]
    void* inner = nullptr;            // [max_tokens, ffn_dim]
    float* first_residual = nullptr;  // [max_sequences, hidden]
    void* first_hidden = nullptr;     // [max_sequences, hidden]
    void* first_query = nullptr;      // [max_sequences, attention_dim]
    float* head = nullptr;            // [max_sequences, hidden]
    float* outputs = nullptr;         // [max_sequences, widest output]
  };

  explicit DeviceWorkspace(Api* api) : api_(api) {}

  // Makes room for `model`, whose weights are on the device, beside those before it, for batches of
  // `limits`, and gives back what these do not need. ResourceExhausted when the device has not that
  // much and kSpareBytes; the room that there was before stays.
  absl::Status Grow(const DeviceModel& model, const BatchLimits& limits);

  // For batches of these smaller limits from now on; memory that they do not need is given back.
  absl::Status Shrink(const BatchLimits& limits);
  // Asks again for memory that was given back and could not be had again since; mostly does
  // nothing.
  absl::Status Restore();

  const HostPlaces& host() const { return host_places_; }
  const DevicePlaces& device() const { return device_places_; }
  size_t index_bytes() const { return index_bytes_; }  // of all indices, which lie in one piece

 private:
  // The most that a row of any model takes.
  struct RowBytes {
    size_t hidden = 0, attention = 0, ffn = 0;
    size_t residual = 0, output = 0;  // of f32
  };
  absl::Status Reserve(const BatchLimits& limits, size_t spare_bytes);
  size_t LayOut(const BatchLimits& limits, std::byte* begin, DevicePlaces* places) const;

  Api* const api_;
  RowBytes row_;
  BatchLimits limits_;
  Memory device_, host_;
  size_t index_bytes_ = 0;
  HostPlaces host_places_;
  DevicePlaces device_places_;
};

}  // namespace tailor::cuda
