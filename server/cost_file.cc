// SPDX-License-Identifier: Apache-2.0
#include "server/cost_file.h"

#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/status_macros.h"
#include "engine/model/json_fields.h"
#include "engine/model/json_text.h"
#include "engine/model/product_weights.h"
#include "engine/model/sha256.h"

namespace tailor {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kVersion = 1;
constexpr size_t kMaxVariants = 4096;
constexpr uintmax_t kMaxBytes = 4 << 20;
constexpr double kMaxSeconds = 1e4;

// One a member of CostCoefficients that is kept.
struct Term {
  const char* key;
  double CostCoefficients::*member;
};
constexpr std::array<Term, 4> kTerms = {{{"fixed_s", &CostCoefficients::fixed},
                                         {"per_token_s", &CostCoefficients::per_token},
                                         {"per_square_s", &CostCoefficients::per_square},
                                         {"per_row_s", &CostCoefficients::per_row}}};

bool IsMeasured(const CostCoefficients& cost) {
  return cost.fixed + cost.per_token + cost.per_square + cost.per_row > 0;
}

fs::path Beside(const fs::path& path) { return path.string() + ".new"; }

json HostJson(const CostHost& host) {
  return {{"cpu", host.cpu},
          {"device", host.device},
          {"isa", host.isa},
          {"threads", host.threads},
          {"tailor", host.version}};
}

// The first value that differs becomes the problem.
void ReadHost(const JsonFields& top, const CostHost& host) {
  top.Require("host");
  const json* object = top.Object("host");
  if (object == nullptr) return;
  const JsonFields fields(*object, top.Where("host"), top.problem());
  const json here = HostJson(host);
  for (const auto& [key, value] : here.items()) {
    fields.Require(key);
    if (object->contains(key) && (*object)[key] != value) {
      fields.FailExpected(key, ShortJson(value));
    }
  }
}

KnownCost ReadVariant(const JsonFields& fields) {
  KnownCost known;
  for (const char* key : {"id", "fingerprint"}) fields.Require(key);
  known.id = fields.String("id").value_or("");
  known.fingerprint = fields.String("fingerprint").value_or("");
  for (const Term& term : kTerms) {
    fields.Require(term.key);
    known.cost.*term.member = fields.Number(term.key, 0, kMaxSeconds).value_or(0);
  }
  return known;
}

absl::StatusOr<std::string> ReadText(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat(path.string(), ": no such file"));
  }
  const uintmax_t size = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
  std::ifstream file(path, std::ios::binary);
  if (!file || error || size == 0 || size > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(),
                                                   ": expected a readable file of 1 to ", kMaxBytes,
                                                   " bytes, got ", size, " bytes"));
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

absl::Status NotWritable(const fs::path& path) {
  return absl::InvalidArgumentError(
      absl::StrCat("cost-file: expected a writable path, got ", path.string()));
}

}  // namespace

std::string CpuNameFrom(std::string_view cpu_info) {
  std::string name;
  const absl::string_view text(cpu_info.data(), cpu_info.size());
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty() && !name.empty()) break;  // the second processor follows
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    const absl::string_view key = absl::StripAsciiWhitespace(field.first);
    for (const char* wanted : {"model name", "cpu family", "model", "stepping", "CPU implementer",
                               "CPU architecture", "CPU variant", "CPU part", "CPU revision"}) {
      if (key != wanted) continue;
      absl::StrAppend(&name, name.empty() ? "" : "/", absl::StripAsciiWhitespace(field.second));
    }
  }
  return name.empty() ? "unknown" : name;
}

CostHost CostHostOf(const BackendInfo& engine, std::string_view version) {
  std::ifstream file("/proc/cpuinfo");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return {.cpu = CpuNameFrom(text),
          .device = engine.device,
          .isa = engine.isa,
          .threads = engine.threads,
          .version = std::string(version)};
}

std::string CostFingerprint(const ServedVariant& variant) {
  std::string text =
      absl::StrCat(std::string(WeightFormatName(variant.format)), "|", variant.num_layers, "|",
                   variant.hidden, "|", variant.num_parameters, "|", variant.weight_bytes, "|",
                   variant.loaded.num_outputs, "|", variant.loaded.packed_bytes);
  for (const std::string& kernel : variant.loaded.kernels) absl::StrAppend(&text, "|", kernel);
  return Sha256Hex(text);
}

absl::StatusOr<std::vector<KnownCost>> ReadCostFile(const fs::path& path, const CostHost& host) {
  TAILOR_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  const absl::StatusOr<json> object = ParseJson(text, {.max_bytes = kMaxBytes});
  if (!object.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), ": expected JSON, got ", object.status().message()));
  }
  absl::Status problem;
  const JsonFields top(*object, path.string(), &problem);
  top.Require("version");
  top.Int("version", kVersion, kVersion);
  ReadHost(top, host);
  top.Require("variants");
  const json* list = top.Array("variants", kMaxVariants);
  std::vector<KnownCost> known;
  for (size_t i = 0; problem.ok() && list != nullptr && i < list->size(); ++i) {
    const std::string where = absl::StrCat(top.Where("variants"), "[", i, "]");
    known.push_back(ReadVariant(JsonFields((*list)[i], where, &problem)));
  }
  TAILOR_RETURN_IF_ERROR(problem);
  return known;
}

absl::Status WriteCostFile(const fs::path& path, const CostHost& host,
                           std::span<const KnownCost> costs) {
  json variants = json::array();
  for (const KnownCost& known : costs) {
    json entry = {{"id", known.id}, {"fingerprint", known.fingerprint}};
    for (const Term& term : kTerms) entry[term.key] = known.cost.*term.member;
    variants.push_back(std::move(entry));
  }
  const json object = {{"version", kVersion}, {"host", HostJson(host)}, {"variants", variants}};
  const fs::path temporary = Beside(path);
  std::ofstream file(temporary, std::ios::trunc);
  file << object.dump(1, ' ', false, json::error_handler_t::replace) << "\n";
  file.close();
  std::error_code error;
  if (file) fs::rename(temporary, path, error);
  return !file || error ? NotWritable(path) : absl::OkStatus();
}

absl::Status CheckCostFile(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) return NotWritable(path);
  std::ofstream file(Beside(path), std::ios::trunc);
  file.close();
  if (!file) return NotWritable(path);
  fs::remove(Beside(path), error);
  return absl::OkStatus();
}

int SetPriors(std::span<const KnownCost> known, std::span<ServedVariant> variants) {
  int count = 0;
  for (ServedVariant& variant : variants) {
    for (const KnownCost& entry : known) {
      const bool is_same = entry.id == variant.id && IsMeasured(entry.cost) &&
                           entry.fingerprint == CostFingerprint(variant);
      if (!is_same || variant.prior) continue;
      variant.prior = entry.cost;
      ++count;
    }
  }
  return count;
}

std::vector<KnownCost> CostsToKeep(std::span<const ServedVariant> variants,
                                   std::span<const CostCoefficients> fitted,
                                   const Recorder& recorder) {
  std::vector<KnownCost> costs;
  for (size_t i = 0; i < variants.size(); ++i) {
    if (!IsMeasured(fitted[i])) continue;
    CostCoefficients cost = fitted[i];
    cost.ratio = 1;
    const CostTotals totals = recorder.Totals(static_cast<int>(i));
    if (totals.batches >= kMinSteadyBatches && totals.modeled_seconds > 0) {
      const double ratio = totals.observed_seconds / totals.modeled_seconds;
      for (const Term& term : kTerms) cost.*term.member *= ratio;
    }
    costs.push_back(
        {.id = variants[i].id, .fingerprint = CostFingerprint(variants[i]), .cost = cost});
  }
  return costs;
}

}  // namespace tailor
