// SPDX-License-Identifier: Apache-2.0
// The measured costs of the variants, kept between runs of the server: what one knew at its end is
// where the next one starts from (server/pipeline/cost_prior.h).
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/api/backend.h"
#include "server/pipeline/cost_model.h"
#include "server/pipeline/ranker.h"
#include "server/telemetry/recorder.h"

namespace tailor {

// Where costs were measured. Those of another host, engine or version say nothing here.
struct CostHost {
  std::string cpu;
  std::string device;
  std::string isa;
  int threads = 0;
  std::string version;

  friend bool operator==(const CostHost&, const CostHost&) = default;
};

// Of this process's machine.
CostHost CostHostOf(const BackendInfo& engine, std::string_view version);

// Model numbers and name of the first processor in the text of /proc/cpuinfo, as in
// "6/143/Intel(R) Xeon(R) Processor/8"; "unknown" without.
std::string CpuNameFrom(std::string_view cpu_info);

// SHA-256 of what a variant's cost depends on: shapes, formats and kernels of its products and the
// size of its weights, not their values, so that a variant that was only trained again is known.
std::string CostFingerprint(const ServedVariant& variant);

// One that was measured.
struct KnownCost {
  std::string id;
  std::string fingerprint;
  CostCoefficients cost;  // its ratio is 1
};

// NotFound when there is no such file, InvalidArgument when it is malformed or of another host; one
// line that says what was expected and what came.
absl::StatusOr<std::vector<KnownCost>> ReadCostFile(const std::filesystem::path& path,
                                                    const CostHost& host);

// Written beside and renamed: whole or not at all. InvalidArgument when that fails.
absl::Status WriteCostFile(const std::filesystem::path& path, const CostHost& host,
                           std::span<const KnownCost> costs);

// InvalidArgument unless WriteCostFile could write there; leaves an existing file as it is.
absl::Status CheckCostFile(const std::filesystem::path& path);

// Sets `prior` of each variant that is known by id and fingerprint; returns how many.
int SetPriors(std::span<const KnownCost> known, std::span<ServedVariant> variants);

// What to keep: the costs as fitted, those of variants that ran at least kMinSteadyBatches times
// the observed / modeled ratio of all these batches. Variants without a cost are left out.
inline constexpr double kMinSteadyBatches = 256;
std::vector<KnownCost> CostsToKeep(std::span<const ServedVariant> variants,
                                   std::span<const CostCoefficients> fitted,
                                   const Recorder& recorder);

}  // namespace tailor
