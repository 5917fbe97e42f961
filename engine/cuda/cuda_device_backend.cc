// SPDX-License-Identifier: Apache-2.0
// Loads variants, runs batches, and makes do when memory runs out. What a batch goes through:
// forward_pass.h.
#include "engine/cuda/cuda_device_backend.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/api/check_run.h"
#include "engine/cuda/call_chain.h"
#include "engine/cuda/device_model.h"
#include "engine/cuda/device_weights.h"
#include "engine/cuda/device_workspace.h"
#include "engine/cuda/forward_pass.h"

namespace tailor::cuda {
namespace {

// To length 1, with PyTorch's lower bound of 1e-12 on the length.
void NormalizeRow(std::span<float> row) {
  const float squares = std::inner_product(row.begin(), row.end(), row.begin(), 0.0F);
  const float inverse = 1.0F / std::max(std::sqrt(squares), 1e-12F);
  for (float& value : row) value *= inverse;
}

// How many sequences of the batch, from `begin` on, have at most `max_tokens` together: at least
// one.
int CountThatFit(const Batch& batch, int begin, int max_tokens) {
  int end = begin + 1;
  while (end < batch.num_sequences() &&
         batch.sequence_offsets[end + 1] - batch.sequence_offsets[begin] <= max_tokens) {
    ++end;
  }
  return end - begin;
}

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::unique_ptr<Api> api, const CudaBackendOptions& options)
      : api_(std::move(api)),
        info_{.device = "cuda",
              .isa = absl::StrCat(api_->facts().architecture, " ", api_->facts().name),
              .threads = 1,
              .cores = {},
              .limits = options.limits,
              .choice = options.choice,
              .notice = std::string(kCudaNotice)},
        weights_(api_.get()),
        workspace_(api_.get()) {
    part_.Reserve(options.limits);
  }

  const BackendInfo& info() const override { return info_; }

  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override {
    TAILOR_RETURN_IF_ERROR(ToStatus(api_->Bind(), "choosing the device"));
    TAILOR_ASSIGN_OR_RETURN(DeviceModel model, UploadModel(package, weights_));
    TAILOR_RETURN_IF_ERROR(MakeRoom(model));
    models_.push_back(std::move(model));
    return LoadedCut{.cut = {.variant = static_cast<int>(models_.size()) - 1},
                     .num_outputs = package.config.head.num_outputs,
                     .packed_bytes = models_.back().bytes,
                     .kernels = models_.back().kernels};
  }

  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override {
    TAILOR_RETURN_IF_ERROR(CheckCut(cut, models_.size()));
    const DeviceModel& model = models_[cut.variant];
    TAILOR_RETURN_IF_ERROR(CheckBatch(batch, info_.limits, model.config, outputs));
    if (batch.num_sequences() == 0) return absl::OkStatus();
    TAILOR_RETURN_IF_ERROR(ToStatus(api_->Bind(), "choosing the device"));
    absl::Status status = RunOnce(model, batch, outputs);
    if (absl::IsResourceExhausted(status)) status = RunSmaller(model, batch, outputs);
    TAILOR_RETURN_IF_ERROR(status);
    return CheckFinite(outputs, model.config.head.num_outputs);
  }

 private:
  // For batches of half the tokens, and half again, where there is not enough for more.
  absl::Status MakeRoom(const DeviceModel& model) {
    BatchLimits limits = info_.limits;
    absl::Status status = workspace_.Grow(model, limits);
    while (absl::IsResourceExhausted(status) && limits.max_tokens > limits.max_sequence_tokens) {
      limits.max_tokens = std::max(limits.max_sequence_tokens, limits.max_tokens / 2);
      status = workspace_.Grow(model, limits);
    }
    if (status.ok()) info_.limits = limits;
    return status;
  }

  absl::Status RunOnce(const DeviceModel& model, const Batch& batch, std::span<float> outputs) {
    TAILOR_RETURN_IF_ERROR(workspace_.Restore());
    CallChain calls(api_.get());
    QueueForwardPass(model, batch, workspace_, calls);
    TAILOR_RETURN_IF_ERROR(calls.Finish());
    std::copy_n(workspace_.host().outputs, outputs.size(), outputs.begin());
    const HeadConfig& head = model.config.head;
    if (head.kind != HeadKind::kEmbedding || !head.normalize) return absl::OkStatus();
    const size_t width = head.num_outputs;
    for (size_t at = 0; at < outputs.size(); at += width) NormalizeRow(outputs.subspan(at, width));
    return absl::OkStatus();
  }

  // Once more after memory ran out, in parts of about half the batch. Memory for half as many
  // tokens is given back before, also for later batches: whatever needs it now, the driver for a
  // kernel or another process, may find it there.
  absl::Status RunSmaller(const DeviceModel& model, const Batch& batch, std::span<float> outputs) {
    const int longest = info_.limits.max_sequence_tokens;
    info_.limits.max_tokens = std::max(longest, info_.limits.max_tokens / 2);
    TAILOR_RETURN_IF_ERROR(workspace_.Shrink(info_.limits));
    const int max_tokens =
        std::max(longest, std::min(info_.limits.max_tokens, batch.num_tokens() / 2));
    const int width = model.config.head.num_outputs;
    for (int begin = 0; begin < batch.num_sequences();) {
      const int count = CountThatFit(batch, begin, max_tokens);
      Take(batch, begin, begin + count);
      const std::span<float> part =
          outputs.subspan(static_cast<size_t>(begin) * width, static_cast<size_t>(count) * width);
      TAILOR_RETURN_IF_ERROR(RunOnce(model, part_, part));
      begin += count;
    }
    return absl::OkStatus();
  }

  // Makes part_ the sequences [begin, end) of the batch.
  void Take(const Batch& batch, int begin, int end) {
    part_.Clear();
    for (int i = begin; i < end; ++i) {
      const auto first = static_cast<size_t>(batch.sequence_offsets[i]);
      const auto count = static_cast<size_t>(batch.sequence_tokens(i));
      part_.Append(std::span(batch.token_ids).subspan(first, count),
                   std::span(batch.token_type_ids).subspan(first, count));
    }
  }

  const std::unique_ptr<Api> api_;
  BackendInfo info_;
  DeviceWeights weights_;
  DeviceWorkspace workspace_;
  std::vector<DeviceModel> models_;  // indexed by Cut::variant
  Batch part_;                       // of a batch that did not fit
};

}  // namespace

std::unique_ptr<Backend> MakeBackend(std::unique_ptr<Api> api, const CudaBackendOptions& options) {
  return std::make_unique<CudaBackend>(std::move(api), options);
}

}  // namespace tailor::cuda
