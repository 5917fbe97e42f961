// SPDX-License-Identifier: Apache-2.0
#include "engine/linear/linear_backend.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/linear/linear_scorer.h"

namespace tailor {
namespace {

struct LinearVariant {
  LinearScorer scorer;
  BatchLimits limits;
  int vocab_size = 0;
  int num_token_types = 0;
};

class LinearBackend final : public Backend {
 public:
  explicit LinearBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  const BackendInfo& info() const override { return inner_->info(); }

  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override {
    LoadedCut loaded;
    if (package.linear) {
      const BertConfig& config = package.config;
      BatchLimits limits = info().limits;
      limits.max_sequence_tokens = std::min(limits.max_sequence_tokens, config.max_positions);
      LinearVariant variant{.scorer = {*package.linear, limits.max_sequence_tokens},
                            .limits = limits,
                            .vocab_size = config.vocab_size,
                            .num_token_types = config.num_token_types};
      loaded.crosses_segments = true;
      loaded.packed_bytes = variant.scorer.bytes();
      loaded.kernels = {absl::StrCat("linear: ", kDenseFeatures, " features and 2^",
                                     package.linear->spec.bits, " hashed weights")};
      variants_.emplace_back(std::move(variant));
    } else {
      TAILOR_ASSIGN_OR_RETURN(loaded, inner_->Load(package));
      variants_.emplace_back(loaded.cut.variant);
    }
    loaded.cut.variant = static_cast<int>(variants_.size()) - 1;
    return loaded;
  }

  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override {
    const int count = static_cast<int>(variants_.size());
    if (cut.variant < 0 || cut.variant >= count) {
      return absl::InvalidArgumentError(
          absl::StrCat("cut: expected a variant below ", count, ", got ", cut.variant));
    }
    auto& variant = variants_[cut.variant];
    ran_inner_ = std::holds_alternative<int>(variant);
    if (auto* linear = std::get_if<LinearVariant>(&variant)) {
      return RunLinear(cut.sub_network, linear, batch, outputs);
    }
    cut.variant = std::get<int>(variant);
    return inner_->Run(cut, batch, outputs);
  }

  std::string_view last_split() const override { return ran_inner_ ? inner_->last_split() : ""; }

 private:
  static absl::Status RunLinear(int sub_network, LinearVariant* variant, const Batch& batch,
                                std::span<float> outputs) {
    if (sub_network != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("cut: expected sub-network 0 of a linear variant, got ", sub_network));
    }
    TAILOR_RETURN_IF_ERROR(
        batch.Validate(variant->limits, variant->vocab_size, variant->num_token_types));
    const int count = batch.num_sequences();
    if (outputs.size() != static_cast<size_t>(count)) {
      return absl::InvalidArgumentError(
          absl::StrCat("outputs: expected ", count, " values, got ", outputs.size()));
    }
    for (int i = 0; i < count; ++i) {
      const auto first = static_cast<size_t>(batch.sequence_offsets[i]);
      const auto tokens = static_cast<size_t>(batch.sequence_tokens(i));
      outputs[i] = variant->scorer.Score(std::span(batch.token_ids).subspan(first, tokens),
                                         std::span(batch.token_type_ids).subspan(first, tokens));
      if (!std::isfinite(outputs[i])) {
        return absl::InternalError(absl::StrCat("sequence ", i, ": output is not finite"));
      }
    }
    return absl::OkStatus();
  }

  const std::unique_ptr<Backend> inner_;
  std::vector<std::variant<LinearVariant, int>> variants_;  // by Cut::variant; int: inner's number
  bool ran_inner_ = false;
};

}  // namespace

std::unique_ptr<Backend> WithLinearVariants(std::unique_ptr<Backend> inner) {
  return std::make_unique<LinearBackend>(std::move(inner));
}

}  // namespace tailor
