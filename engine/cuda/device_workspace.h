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

// Views into two blocks. Rows of the device's matrices follow each other without gaps, as wide as
// the present model needs; each has room for the widest model.
class DeviceWorkspace {
 public:
  // Integers of the batch: in pinned memory, and where they go on the device.
  struct Indices {
    int32_t* ids = nullptr;        // [max_tokens]
    int32_t* types = nullptr;      // [max_tokens]
    int32_t* positions = nullptr;  // [max_tokens]
    int32_t* offsets = nullptr;    // [max_sequences + 1]
  };

  explicit DeviceWorkspace(Api* api) : api_(api) {}

  // Makes room for `model` beside those before it, for batches of `limits`. ResourceExhausted when
  // the device has not that much; the room that there was before stays.
  absl::Status Grow(const DeviceModel& model, const BatchLimits& limits);

  const Indices& host_indices() const { return host_indices_; }
  const Indices& indices() const { return indices_; }
  size_t index_bytes() const { return index_bytes_; }
  float* host_outputs() const { return host_outputs_; }  // [max_sequences, widest output]

  float* residual() const { return residual_; }              // [max_tokens, hidden] f32
  void* hidden() const { return hidden_; }                   // [max_tokens, hidden]
  void* projections() const { return projections_; }         // [max_tokens, 3 * attention_dim]
  void* context() const { return context_; }                 // [max_tokens, attention_dim]
  void* product() const { return product_; }                 // [max_tokens, hidden]
  void* inner() const { return inner_; }                     // [max_tokens, ffn_dim]
  float* first_residual() const { return first_residual_; }  // [max_sequences, hidden] f32
  void* first_hidden() const { return first_hidden_; }       // [max_sequences, hidden]
  void* first_query() const { return first_query_; }         // [max_sequences, attention_dim]
  float* head() const { return head_; }                      // [max_sequences, hidden] f32
  float* outputs() const { return outputs_; }                // [max_sequences, widest output] f32

  bool is_ready() const { return device_.bytes() > 0; }
  size_t device_bytes() const { return device_.bytes(); }

 private:
  // The most that a row of any model takes.
  struct RowBytes {
    size_t hidden = 0, attention = 0, ffn = 0;
    size_t residual = 0, output = 0;  // of f32
  };
  absl::Status Reserve(const BatchLimits& limits);
  size_t Layout(const BatchLimits& limits, std::byte* device);

  Api* const api_;
  RowBytes row_;
  BatchLimits limits_;
  Memory device_, host_;
  size_t index_bytes_ = 0;
  Indices host_indices_, indices_;
  float* host_outputs_ = nullptr;
  void *hidden_ = nullptr, *projections_ = nullptr, *context_ = nullptr, *product_ = nullptr,
       *inner_ = nullptr, *first_hidden_ = nullptr, *first_query_ = nullptr;
  float *residual_ = nullptr, *first_residual_ = nullptr, *head_ = nullptr, *outputs_ = nullptr;
};

}  // namespace tailor::cuda
