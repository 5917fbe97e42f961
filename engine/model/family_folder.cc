// SPDX-License-Identifier: Apache-2.0
#include "engine/model/family_folder.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/model/model_folder.h"
#include "engine/model/variant_loader.h"

namespace tailor {
namespace {

namespace fs = std::filesystem;

// A sub-folder on its way to a variant.
struct Candidate {
  std::string name;
  std::optional<ModelFolder> folder;
  std::optional<VariantManifest> manifest;
  ModelPackage package;
};

using TokenizerKey = std::tuple<std::string, bool, bool>;

TokenizerKey KeyOf(const TokenizerSpec& spec) {
  return {spec.sha256, spec.lower_case, spec.strip_accents};
}

std::string Describe(const TokenizerKey& key) {
  const auto& [sha256, lower_case, strip_accents] = key;
  return absl::StrCat("vocabulary ", sha256.substr(0, 12), lower_case ? ", lower case" : ", cased",
                      strip_accents ? ", accents stripped" : ", accents kept");
}

bool LooksLikeModel(const fs::path& folder) {
  for (const char* name : {"variant.json", "config.json", "modules.json", "model.safetensors",
                           "model.safetensors.index.json"}) {
    std::error_code error;
    if (fs::exists(fs::symlink_status(folder / name, error))) return true;
  }
  return false;
}

// The most frequent value, of several the one met first; a default one of nothing.
template <typename T>
T MostFrequent(const std::vector<T>& values) {
  std::map<T, int> counts;
  for (const T& value : values) ++counts[value];
  T best{};
  int best_count = 0;
  for (const T& value : values) {
    if (counts[value] > best_count) {
      best = value;
      best_count = counts[value];
    }
  }
  return best;
}

// Whatever a file name or key contained, a problem stays one line.
absl::Status OneLine(const absl::Status& status) {
  std::string message(status.message());
  for (char& c : message) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = '?';
  }
  return absl::Status(status.code(), message);
}

class FamilyLoader {
 public:
  explicit FamilyLoader(fs::path root) : root_(std::move(root)) {}

  absl::StatusOr<FamilyFolder> Load();

 private:
  absl::Status Collect();
  void Collect(const std::string& name, const fs::path& folder);
  void SettleFamily();
  void SettleTokenizer();
  void RefuseDuplicates();
  void LoadDerived();

  void Refuse(const std::string& name, const absl::Status& status) {
    problems_.push_back({PrintablePath(name), OneLine(status)});
  }

  // Moves candidates for which `check` fails to the problems.
  template <typename Check>
  void Keep(std::vector<Candidate>* candidates, const Check& check) {
    std::erase_if(*candidates, [&](const Candidate& candidate) {
      const absl::Status status = check(candidate);
      if (!status.ok()) Refuse(candidate.name, status);
      return !status.ok();
    });
  }

  const fs::path root_;
  std::string family_;
  std::vector<Candidate> loaded_;   // with weights of their own, in the order of the names
  std::vector<Candidate> derived_;  // manifests only, until LoadDerived
  std::vector<VariantProblem> problems_;
};

absl::StatusOr<FamilyFolder> FamilyLoader::Load() {
  TAILOR_RETURN_IF_ERROR(Collect());
  if (loaded_.empty() && derived_.empty() && problems_.empty()) {
    return absl::NotFoundError(absl::StrCat(PrintablePath(root_),
                                            ": expected a model folder or sub-folders that are "
                                            "model folders, got none"));
  }
  SettleFamily();
  SettleTokenizer();
  RefuseDuplicates();
  LoadDerived();
  FamilyFolder result;
  result.id = family_;
  result.path = LooksLikeModel(root_) ? root_.parent_path() : root_;
  for (Candidate& candidate : loaded_) result.variants.push_back(std::move(candidate.package));
  std::sort(result.variants.begin(), result.variants.end(),
            [](const ModelPackage& a, const ModelPackage& b) { return a.id < b.id; });
  result.problems = std::move(problems_);
  return result;
}

absl::Status FamilyLoader::Collect() {
  if (LooksLikeModel(root_)) {
    Collect(root_.filename().string(), root_);
    return absl::OkStatus();
  }
  std::error_code error;
  std::vector<fs::path> folders;
  for (fs::directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
    const bool is_hidden = it->path().filename().string().starts_with('.');
    std::error_code ignored;
    const bool is_link = it->is_symlink(ignored);
    const bool is_folder = it->is_directory(ignored);
    // Links are judged by where they lead, before anything behind them is looked at.
    const bool is_dangling = is_link && !it->exists(ignored);
    if (is_hidden || (!is_folder && !is_dangling)) continue;
    if (is_link || LooksLikeModel(it->path())) folders.push_back(it->path());
  }
  if (error) {
    return absl::NotFoundError(
        absl::StrCat(PrintablePath(root_), ": expected a readable folder, got: ", error.message()));
  }
  std::sort(folders.begin(), folders.end());
  for (const fs::path& folder : folders) Collect(folder.filename().string(), folder);
  return absl::OkStatus();
}

void FamilyLoader::Collect(const std::string& name, const fs::path& folder) {
  absl::StatusOr<ModelFolder> opened = ModelFolder::Open(folder, root_);
  if (!opened.ok()) return Refuse(name, opened.status());
  Candidate candidate = {.name = name, .folder = *opened, .manifest = {}, .package = {}};
  auto manifest = ReadVariantManifest(*opened);
  if (!manifest.ok()) return Refuse(name, manifest.status());
  candidate.manifest = *std::move(manifest);
  if (candidate.manifest && candidate.manifest->derive) {
    if (opened->Has("config.json")) {
      return Refuse(name, absl::InvalidArgumentError(
                              "variant.json: derive: expected a folder without config.json, got "
                              "one with it"));
    }
    derived_.push_back(std::move(candidate));
    return;
  }
  absl::StatusOr<ModelPackage> package = LoadVariant(*opened, candidate.manifest);
  if (!package.ok()) return Refuse(name, package.status());
  candidate.package = *std::move(package);
  loaded_.push_back(std::move(candidate));
}

void FamilyLoader::SettleFamily() {
  std::vector<std::string> names;
  for (const Candidate& c : loaded_) {
    if (!c.package.family.empty()) names.push_back(c.package.family);
  }
  family_ = names.empty() ? IdFromFolderName(root_) : MostFrequent(names);
  const auto check = [this](const std::string& family) {
    if (family.empty() || family == family_) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("variant.json: family: expected \"", family_,
                                                   "\" as most have, got \"", family, "\""));
  };
  Keep(&loaded_, [&](const Candidate& c) { return check(c.package.family); });
  Keep(&derived_, [&](const Candidate& c) { return check(c.manifest->family); });
}

void FamilyLoader::SettleTokenizer() {
  std::vector<TokenizerKey> keys;
  keys.reserve(loaded_.size());
  for (const Candidate& c : loaded_) keys.push_back(KeyOf(c.package.tokenizer));
  const TokenizerKey family_key = MostFrequent(keys);
  Keep(&loaded_, [&](const Candidate& c) {
    const TokenizerKey key = KeyOf(c.package.tokenizer);
    if (key == family_key) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("tokenizer: expected the family's (",
                                                   Describe(family_key), "), got another (",
                                                   Describe(key), ")"));
  });
}

void FamilyLoader::RefuseDuplicates() {
  std::map<std::string, std::string> names;  // id -> folder
  const auto check = [&](const std::string& id, const std::string& name) {
    const auto [it, is_new] = names.emplace(id, name);
    if (is_new) return absl::OkStatus();
    return absl::AlreadyExistsError(absl::StrCat("id: expected a name of its own, got \"", id,
                                                 "\", which folder ", PrintablePath(it->second),
                                                 " has"));
  };
  Keep(&loaded_, [&](const Candidate& c) { return check(c.package.id, c.name); });
  Keep(&derived_, [&](const Candidate& c) { return check(c.manifest->id, c.name); });
}

void FamilyLoader::LoadDerived() {
  std::vector<Candidate> ready;
  Keep(&derived_, [&](const Candidate& c) {
    const std::string& parent = c.manifest->derive->parent;
    const auto it = std::find_if(loaded_.begin(), loaded_.end(), [&](const Candidate& other) {
      return other.package.id == parent;
    });
    if (it == loaded_.end()) {
      return absl::NotFoundError(absl::StrCat(
          "variant.json: derive.parent: expected a variant of this family with weights of its own, "
          "got \"",
          parent, "\""));
    }
    absl::StatusOr<ModelPackage> package = DeriveVariant(*c.folder, *c.manifest, it->package);
    if (!package.ok()) return package.status();
    ready.push_back({.name = c.name, .folder = c.folder, .manifest = {}, .package = *package});
    return absl::OkStatus();
  });
  std::move(ready.begin(), ready.end(), std::back_inserter(loaded_));
}

}  // namespace

absl::StatusOr<FamilyFolder> LoadFamilyFolder(const fs::path& folder) {
  std::error_code error;
  fs::path root = fs::canonical(folder, error);
  if (error || !fs::is_directory(root, error)) {
    return absl::NotFoundError(absl::StrCat(PrintablePath(folder), ": expected a folder, got ",
                                            error ? error.message() : "a file"));
  }
  return FamilyLoader(std::move(root)).Load();
}

}  // namespace tailor
