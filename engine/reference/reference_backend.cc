// SPDX-License-Identifier: Apache-2.0
#include "engine/reference/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
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
    if (cut.variant < 0 || cut.variant >= static_cast<int>(models_.size()) ||
        cut.sub_network != 0) {
      return absl::InvalidArgumentError(absl::StrCat("cut: expected variant 0..", models_.size(),
                                                     " and sub-network 0, got ", cut.variant,
                                                     " and ", cut.sub_network));
    }
    const reference::Model& model = models_[cut.variant];
    const BertConfig& config = model.config;
    BatchLimits limits = info_.limits;
    limits.max_sequence_tokens = std::min(limits.max_sequence_tokens, config.max_positions);
    TAILOR_RETURN_IF_ERROR(batch.Validate(limits, config.vocab_size, config.num_token_types));
    const size_t width = config.head.num_outputs;
    if (outputs.size() != batch.num_sequences() * width) {
      return absl::InvalidArgumentError(absl::StrCat(
          "outputs: expected ", batch.num_sequences() * width, " values, got ", outputs.size()));
    }
    for (int i = 0; i < batch.num_sequences(); ++i) {
      const size_t first = batch.sequence_offsets[i];
      const size_t tokens = batch.sequence_tokens(i);
      const std::vector<float> row =
          reference::RunSequence(model, std::span(batch.token_ids).subspan(first, tokens),
                                 std::span(batch.token_type_ids).subspan(first, tokens));
      if (!std::all_of(row.begin(), row.end(), [](float v) { return std::isfinite(v); })) {
        return absl::InternalError(absl::StrCat("sequence ", i, ": output is not finite"));
      }
      std::copy(row.begin(), row.end(), outputs.begin() + static_cast<int64_t>(i * width));
    }
    return absl::OkStatus();
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
