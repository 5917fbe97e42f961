// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/profile.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/model/json_fields.h"
#include "engine/model/json_text.h"
#include "server/pipeline/selector.h"

namespace tailor {
namespace {

constexpr int kMaxCount = 1 << 20;
constexpr double kMaxMicros = 1e9;
constexpr double kMicro = 1e-6;

double Seconds(const JsonFields& fields, const char* key) {
  return kMicro * fields.Number(key, 0, kMaxMicros).value_or(0);
}

void ReadCut(const JsonFields& fields, ProfileCut* cut) {
  const std::vector<std::string> known = {"id",           "quality",       "fixed_us",
                                          "per_token_us", "per_square_us", "per_row_us"};
  fields.RefuseUnknown(known);
  fields.Require("id");
  fields.Require("quality");
  cut->id = fields.String("id").value_or("");
  cut->quality = fields.Number("quality", 0, 1).value_or(0);
  cut->cost = {.fixed = Seconds(fields, "fixed_us"),
               .per_token = Seconds(fields, "per_token_us"),
               .per_square = Seconds(fields, "per_square_us"),
               .per_row = Seconds(fields, "per_row_us"),
               .ratio = 1};
  if (cut->cost.per_token + cut->cost.per_square + cut->cost.per_row <= 0) {
    fields.FailExpected("per_token_us", "above 0, or per_square_us or per_row_us");
  }
}

void ReadCuts(const JsonFields& root, const std::string& file, Profile* profile) {
  const nlohmann::json* cuts = root.Array("cuts", kMaxVariants);
  if (cuts == nullptr || cuts->empty()) {
    root.FailExpected("cuts", absl::StrCat("a list of 1 to ", kMaxVariants, " cuts"));
    return;
  }
  const std::string capacity = root.String("capacity_cut").value_or("");
  profile->capacity_cut = -1;
  for (size_t i = 0; i < cuts->size(); ++i) {
    const JsonFields fields((*cuts)[i], absl::StrCat(file, ": cuts[", i, "]"), root.problem());
    ProfileCut cut;
    ReadCut(fields, &cut);
    const auto is_same = [&](const ProfileCut& other) { return other.id == cut.id; };
    if (std::any_of(profile->cuts.begin(), profile->cuts.end(), is_same)) {
      fields.FailExpected("id", "an id that no other cut has");
    }
    if (cut.id == capacity) profile->capacity_cut = static_cast<int>(i);
    profile->cuts.push_back(std::move(cut));
  }
  if (profile->capacity_cut < 0) root.FailExpected("capacity_cut", "the id of a cut");
}

void ReadLimits(const JsonFields& fields, BatchLimits* limits) {
  const std::vector<std::string> known = {"max_tokens", "max_sequences", "max_sequence_tokens"};
  fields.RefuseUnknown(known);
  const auto read = [&](const char* key, int* limit) {
    *limit = fields.Int(key, 1, kMaxCount).value_or(*limit);
  };
  read("max_tokens", &limits->max_tokens);
  read("max_sequences", &limits->max_sequences);
  read("max_sequence_tokens", &limits->max_sequence_tokens);
  if (limits->max_sequence_tokens > limits->max_tokens) {
    fields.FailExpected("max_sequence_tokens", "at most max_tokens");
  }
}

void ReadServer(const JsonFields& fields, Profile* profile) {
  const std::vector<std::string> known = {"reply_margin_us", "request_overhead_us",
                                          "batch_overhead_us"};
  fields.RefuseUnknown(known);
  profile->reply_margin = FromSeconds(Seconds(fields, "reply_margin_us"));
  profile->request_overhead = FromSeconds(Seconds(fields, "request_overhead_us"));
  profile->batch_overhead = FromSeconds(Seconds(fields, "batch_overhead_us"));
}

void ReadRequest(const JsonFields& fields, Profile* profile) {
  const std::vector<std::string> known = {"documents", "tokens"};
  fields.RefuseUnknown(known);
  profile->documents = fields.Int("documents", 1, kMaxCount).value_or(profile->documents);
  profile->tokens = fields.Int("tokens", 1, kMaxCount).value_or(profile->tokens);
  if (profile->tokens > profile->limits.max_sequence_tokens) {
    fields.FailExpected("tokens", "at most limits.max_sequence_tokens");
  }
}

}  // namespace

absl::StatusOr<Profile> ParseProfile(const std::string& text, const std::string& where) {
  const std::string file = "profile " + where;
  const absl::StatusOr<nlohmann::json> json = ParseJson(text);
  if (!json.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", json.status().message()));
  }
  absl::Status problem;
  Profile profile;
  const JsonFields root(*json, file, &problem);
  const std::vector<std::string> known = {"name",   "source", "capacity_cut", "request",
                                          "limits", "server", "cuts"};
  root.RefuseUnknown(known);
  for (const char* key : {"name", "source", "capacity_cut", "cuts"}) root.Require(key);
  profile.name = root.String("name").value_or("");
  profile.source = root.String("source").value_or("");
  const nlohmann::json empty = nlohmann::json::object();
  const auto child = [&](const char* key) {
    const nlohmann::json* object = root.Object(key);
    return JsonFields(object != nullptr ? *object : empty, root.Where(key), &problem);
  };
  ReadLimits(child("limits"), &profile.limits);
  ReadServer(child("server"), &profile);
  ReadRequest(child("request"), &profile);
  if (problem.ok()) ReadCuts(root, file, &profile);
  if (!problem.ok()) return problem;
  return profile;
}

absl::StatusOr<Profile> ReadProfile(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream) {
    return absl::NotFoundError(absl::StrCat("profile ", file.string(), ": cannot be read"));
  }
  return ParseProfile(text, file.string());
}

double BudgetUnitSeconds(const Profile& profile) {
  const ProfileCut& best = *std::max_element(
      profile.cuts.begin(), profile.cuts.end(),
      [](const ProfileCut& a, const ProfileCut& b) { return a.quality < b.quality; });
  WorkShape work;
  for (int i = 0; i < profile.documents; ++i) work.Add(profile.tokens);
  return AloneSeconds(best.cost, work, profile.limits);
}

}  // namespace tailor
