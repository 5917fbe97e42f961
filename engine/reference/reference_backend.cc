// SPDX-License-Identifier: Apache-2.0
#include "engine/reference/reference_backend.h"

#include <algorithm>
#include <vector>

#include "base/status_macros.h"
#include "engine/api/check_run.h"
#include "engine/reference/reference_model.h"

namespace tailor {
namespace {

class ReferenceBackend final : public Backend {
 public:
  explicit ReferenceBackend(const BatchLimits& limits)
      : info_{.device = "reference", .isa = "none", .threads = 1, .limits = limits} {}

  const BackendInfo& info() const override { return info_; }

  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override {
    models_.push_back(reference::Unpack(package));
    return LoadedCut{.cut = {.variant = static_cast<int>(models_.size()) - 1},
                     .num_outputs = package.config.head.num_outputs,
                     .packed_bytes = static_cast<size_t>(package.num_parameters) * sizeof(float),
                     .kernels = {"every product: naive loops"}};
  }

  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override {
    TAILOR_RETURN_IF_ERROR(CheckCut(cut, models_.size()));
    const reference::Model& model = models_[cut.variant];
    TAILOR_RETURN_IF_ERROR(CheckBatch(batch, info_.limits, model.config, outputs));
    const size_t width = model.config.head.num_outputs;
    for (int i = 0; i < batch.num_sequences(); ++i) {
      const size_t first = batch.sequence_offsets[i];
      const size_t tokens = batch.sequence_tokens(i);
      const std::vector<float> row =
          reference::RunSequence(model, std::span(batch.token_ids).subspan(first, tokens),
                                 std::span(batch.token_type_ids).subspan(first, tokens));
      std::copy(row.begin(), row.end(), outputs.begin() + static_cast<int64_t>(i * width));
    }
    return CheckFinite(outputs, model.config.head.num_outputs);
  }

 private:
  BackendInfo info_;
  std::vector<reference::Model> models_;
};

}  // namespace

std::unique_ptr<Backend> CreateReferenceBackend(const BatchLimits& limits) {
  return std::make_unique<ReferenceBackend>(limits);
}

}  // namespace tailor
