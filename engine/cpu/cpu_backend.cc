// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/cpu_backend.h"

#include <atomic>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/api/check_run.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/forward_pass.h"
#include "engine/cpu/kernel_table.h"
#include "engine/cpu/packed_model.h"
#include "engine/cpu/product.h"
#include "engine/cpu/split_plan.h"
#include "engine/cpu/thread_team.h"
#include "engine/cpu/workspace.h"

namespace tailor {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend(const CpuBackendOptions& options, CpuIsa isa, std::unique_ptr<ProductLibrary> library)
      : info_{.device = "cpu",
              .isa = std::string(CpuIsaName(isa)),
              .threads = options.threads,
              .cores = options.cores,
              .limits = options.limits,
              .choice = options.choice},
        kernels_(KernelsFor(isa)),
        library_(std::move(library)),
        workspace_(options.limits, options.threads),
        team_(options.threads, options.cores) {
    ReservePlan(options.limits.max_sequences, options.threads, plan_);
  }

  const BackendInfo& info() const override { return info_; }

  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override {
    if (package.format == WeightFormat::kBf16 && !kernels_.Has(TileType::kBf16)) {
      return absl::FailedPreconditionError(
          absl::StrCat(package.id,
                       ": expected a CPU with AMX for bf16 products, which are slower than f32 "
                       "without; cpu_isa is ",
                       info_.isa));
    }
    TAILOR_ASSIGN_OR_RETURN(PackedModel model, PackModel(package, *library_, kernels_, store_));
    workspace_.Grow(model);
    models_.push_back(std::move(model));
    return LoadedCut{.cut = {.variant = static_cast<int>(models_.size()) - 1},
                     .num_outputs = package.config.head.num_outputs,
                     .packed_bytes = models_.back().bytes,
                     .kernels = models_.back().kernels};
  }

  std::string_view last_split() const override {
    if (info_.threads == 1) return "";
    if (plan_.shares_outputs) return "outputs";
    return plan_.is_shared ? "rows" : "sequences";
  }

  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override {
    TAILOR_RETURN_IF_ERROR(CheckCut(cut, models_.size()));
    const PackedModel& model = models_[cut.variant];
    TAILOR_RETURN_IF_ERROR(CheckBatch(batch, info_.limits, model.config, outputs));
    if (batch.num_sequences() == 0) return absl::OkStatus();
    PlanSplit(batch.sequence_offsets, info_.threads,
              {.max_shared_rows = workspace_.max_shared_rows(),
               .max_output_rows = model.max_output_rows,
               .min_unit = model.tile_value_bytes > 0 ? kTileRows : 4},
              plan_);
    const ForwardPassArgs pass = {.model = model,
                                  .kernels = kernels_,
                                  .batch = batch,
                                  .plan = plan_,
                                  .team = team_,
                                  .workspace = workspace_,
                                  .outputs = outputs};
    std::atomic<bool> is_ok = true;
    team_.Run([&](int thread) {
      if (!RunForwardPass(pass, thread)) is_ok.store(false);
    });
    if (!is_ok.load()) return absl::InternalError("oneDNN refused to run a product");
    return CheckFinite(outputs, model.config.head.num_outputs);
  }

 private:
  const BackendInfo info_;
  const KernelSet& kernels_;
  const std::unique_ptr<ProductLibrary> library_;
  std::vector<PackedModel> models_;  // indexed by Cut::variant
  Workspace workspace_;
  SplitPlan plan_;
  WeightStore store_;
  ThreadTeam team_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> CreateCpuBackend(const CpuBackendOptions& options) {
  if (options.threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads: expected at least 1, got ", options.threads));
  }
  TAILOR_ASSIGN_OR_RETURN(const CpuIsa isa, ChooseCpuIsa(options.cpu_isa));
  TAILOR_ASSIGN_OR_RETURN(
      std::unique_ptr<ProductLibrary> library,
      ProductLibrary::Create(isa, /*is_forced=*/options.cpu_isa != "auto", options.threads));
  return std::make_unique<CpuBackend>(options, isa, std::move(library));
}

}  // namespace tailor
