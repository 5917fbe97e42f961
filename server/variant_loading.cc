// SPDX-License-Identifier: Apache-2.0
#include "server/variant_loading.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/log.h"
#include "base/status_macros.h"
#include "engine/model/family_folder.h"
#include "engine/model/product_weights.h"
#include "server/calibration_file.h"
#include "server/pipeline/refusal.h"
#include "server/reference_check.h"

namespace tailor {
namespace {

void Refuse(const std::string& id, const absl::Status& status, LoadedFamily* family) {
  const std::string problem(status.message());
  Log(LogLevel::kError, "variant refused", {{"variant", id}, {"problem", problem}});
  family->refused.push_back({id, problem});
}

BackendOptions BackendOptionsOf(const ServerConfig& config, const FamilyFolder& folder) {
  BackendOptions options;
  options.device = *DeviceNamed(config.device);  // one of the option's choices
  options.cuda_device = config.cuda_device;
  options.threads = config.threads;
  options.pinning = config.pin_threads == "on"    ? Pinning::kOn
                    : config.pin_threads == "off" ? Pinning::kOff
                                                  : Pinning::kAuto;
  options.cpu_isa = config.cpu_isa;
  options.limits.max_tokens = config.max_batch_tokens;
  options.limits.max_sequences = config.max_sequences;
  // Memory is planned for the longest input that any variant takes, not for the longest possible.
  int longest = 1;
  for (const ModelPackage& package : folder.variants) {
    longest = std::max(longest, std::min(package.task.max_tokens, package.config.max_positions));
  }
  options.limits.max_sequence_tokens = std::min(longest, config.max_batch_tokens);
  return options;
}

ServedVariant Describe(const ModelPackage& package, LoadedCut loaded) {
  ServedVariant variant;
  variant.id = package.id;
  variant.loaded = std::move(loaded);
  variant.format = MainFormat(package);
  variant.task = package.task;
  variant.head = package.config.head.kind;
  variant.quality = package.quality;
  variant.num_layers = static_cast<int>(package.config.layers.size());
  variant.hidden = package.config.hidden;
  variant.num_parameters = package.num_parameters;
  variant.weight_bytes = package.weight_bytes;
  return variant;
}

// OK also for a variant without reference scores: it has nothing to be held against.
absl::Status Verify(const ModelPackage& package, const Tokenizer& tokenizer,
                    const LoadedCut& loaded, ReferenceChecker& checker, Backend& backend) {
  if (!package.reference) return absl::OkStatus();
  TAILOR_ASSIGN_OR_RETURN(const ReferenceCheck check,
                          checker.Run(package, tokenizer, kStartPairs, loaded, backend));
  return ToStatus(check);
}

// Empty for a family without calibration, which is served by single variants; so is one whose file
// is wrong.
FamilyCalibration LoadCalibration(const std::filesystem::path& family,
                                  std::span<const ServedVariant> variants) {
  absl::StatusOr<FamilyCalibration> calibration = ReadCalibration(family, variants);
  if (calibration.ok()) return *std::move(calibration);
  Log(LogLevel::kError, "no cascades", {{"problem", std::string(calibration.status().message())}});
  return {};
}

// The other variants could not run either.
absl::Status LostAtStart(const absl::Status& problem) {
  return MakeRefusal({.refusal = Refusal::kDeviceLost}, std::string(problem.message()));
}

}  // namespace

absl::StatusOr<LoadedFamily> LoadFamily(const ServerConfig& config,
                                        const BackendFactory& create_backend) {
  TAILOR_ASSIGN_OR_RETURN(FamilyFolder folder, LoadFamilyFolder(config.family));
  LoadedFamily family;
  family.id = folder.id;
  for (const VariantProblem& problem : folder.problems) {
    Refuse(problem.name, problem.status, &family);
  }
  TAILOR_ASSIGN_OR_RETURN(family.backend, create_backend(BackendOptionsOf(config, folder)));
  ReferenceChecker checker(folder.path);
  for (const ModelPackage& package : folder.variants) {
    absl::StatusOr<LoadedCut> loaded = family.backend->Load(package);
    if (absl::IsUnavailable(loaded.status())) return LostAtStart(loaded.status());
    if (!loaded.ok()) {
      Refuse(package.id, loaded.status(), &family);
      continue;
    }
    if (family.tokenizer == nullptr) {
      TAILOR_ASSIGN_OR_RETURN(Tokenizer tokenizer, MakeTokenizer(package.tokenizer));
      family.tokenizer = std::make_shared<const Tokenizer>(std::move(tokenizer));
    }
    if (config.verify_variants) {
      const absl::Status verified =
          Verify(package, *family.tokenizer, *loaded, checker, *family.backend);
      if (absl::IsUnavailable(verified)) return LostAtStart(verified);
      if (!verified.ok()) {
        Refuse(package.id, verified, &family);
        continue;
      }
    }
    family.variants.push_back(Describe(package, *std::move(loaded)));
  }
  // What the memory of a device allows beside all variants.
  const int max_tokens = family.backend->info().limits.max_tokens;
  if (max_tokens < config.max_batch_tokens) {
    Log(LogLevel::kWarning, "device memory is short: batches are smaller than asked for",
        {{"max_batch_tokens", max_tokens}, {"asked", config.max_batch_tokens}});
  }
  family.calibration = LoadCalibration(folder.path, family.variants);
  return family;
}

}  // namespace tailor
