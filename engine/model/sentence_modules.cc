// SPDX-License-Identifier: Apache-2.0
#include "engine/model/sentence_modules.h"

#include <array>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "base/status_macros.h"
#include "engine/model/json_fields.h"

namespace tailor {
namespace {

using nlohmann::json;

constexpr size_t kMaxModules = 16;
constexpr int kMinTokens = 4;  // [CLS] [SEP] [SEP] and one of text

std::string Join(absl::string_view folder, absl::string_view file) {
  return folder.empty() ? std::string(file) : absl::StrCat(folder, "/", file);
}

// The three modes that are switched by keys of their own; the rest must be off.
absl::StatusOr<Pooling> ReadPooling(const ModelFolder& folder, const std::string& path) {
  const std::string file = Join(path, "config.json");
  TAILOR_ASSIGN_OR_RETURN(const json root, folder.ReadJson(file, {}));
  absl::Status problem;
  const JsonFields fields(root, file, &problem);
  const bool cls = fields.Bool("pooling_mode_cls_token").value_or(false);
  const bool mean = fields.Bool("pooling_mode_mean_tokens").value_or(false);
  for (const char* key : {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
                          "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"}) {
    if (fields.Bool(key).value_or(false)) fields.FailExpected(key, "false");
  }
  const std::optional<Pooling> named =
      fields.OneOf<Pooling>("pooling_mode", {{"cls", Pooling::kCls}, {"mean", Pooling::kMean}});
  if (!problem.ok()) return problem;
  if (named) return *named;
  if (cls == mean) {
    return absl::InvalidArgumentError(absl::StrCat(
        file, ": expected one of cls and mean pooling, got ", cls ? "both" : "neither"));
  }
  return cls ? Pooling::kCls : Pooling::kMean;
}

absl::Status ReadMaxTokens(const ModelFolder& folder, SentenceModules* modules) {
  const std::string file = Join(modules->transformer, "sentence_bert_config.json");
  if (!folder.Has(file)) return absl::OkStatus();
  TAILOR_ASSIGN_OR_RETURN(const json root, folder.ReadJson(file, {}));
  absl::Status problem;
  const JsonFields fields(root, file, &problem);
  modules->max_tokens = fields.Int("max_seq_length", kMinTokens, 1 << 20);
  return problem;
}

}  // namespace

absl::StatusOr<SentenceModules> ReadSentenceModules(const ModelFolder& folder) {
  SentenceModules modules;
  if (folder.Has("modules.json")) {
    TAILOR_ASSIGN_OR_RETURN(const json root, folder.ReadJson("modules.json", {}));
    if (!root.is_array() || root.size() > kMaxModules) {
      return absl::InvalidArgumentError(absl::StrCat("modules.json: expected an array of at most ",
                                                     kMaxModules, ", got ", ShortJson(root)));
    }
    for (size_t i = 0; i < root.size(); ++i) {
      absl::Status problem;
      const JsonFields fields(root[i], absl::StrCat("modules.json: [", i, "]"), &problem);
      fields.Require("type");
      const std::string type = fields.String("type").value_or("");
      const std::string given = fields.String("path").value_or("");
      const std::string path(absl::StripSuffix(given, "/"));
      if (!path.empty() && !CheckRelativePath(path).ok()) {
        fields.FailExpected("path", "a relative path without \"..\"");
      }
      TAILOR_RETURN_IF_ERROR(problem);
      const absl::string_view name = absl::string_view(type).substr(type.rfind('.') + 1);
      if (name == "Transformer" && i == 0) {
        modules.transformer = path;
      } else if (name == "Pooling" && i == 1) {
        TAILOR_ASSIGN_OR_RETURN(modules.pooling, ReadPooling(folder, path));
      } else if (name == "Normalize" && i == 2) {
        modules.normalize = true;
      } else {
        fields.FailExpected("type", "Transformer, then Pooling, then perhaps Normalize");
        return problem;
      }
    }
  }
  TAILOR_RETURN_IF_ERROR(ReadMaxTokens(folder, &modules));
  return modules;
}

}  // namespace tailor
