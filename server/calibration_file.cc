// SPDX-License-Identifier: Apache-2.0
#include "server/calibration_file.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/model/json_fields.h"
#include "engine/model/model_folder.h"

namespace tailor {
namespace {

using nlohmann::json;
using Names = std::vector<std::string>;

constexpr int kVersion = 1;
constexpr size_t kMaxEntries = 4096;
constexpr size_t kMaxPoints = 1024;
constexpr double kMaxScore = 1e6;

bool IsNumber(const json& value, double low, double high) {
  return value.is_number() && value.get<double>() >= low && value.get<double>() <= high;
}

struct Points {
  std::vector<double> xs;  // rising
  std::vector<double> ys;
};

// A list of [x, y] with rising x, each within its bounds (ends included).
struct PointRules {
  const char* expected;
  size_t least;
  double low_x, high_x, low_y, high_y;
  bool is_y_rising;
};

constexpr PointRules kKnots{
    "2 to 1024 pairs [score, value] of finite numbers, scores rising, "
    "values never falling",
    2,
    -kMaxScore,
    kMaxScore,
    -kMaxScore,
    kMaxScore,
    true};
constexpr PointRules kShares{"1 to 1024 pairs [share, ndcg10] between 0 and 1, shares rising",
                             1,
                             1e-6,
                             1 - 1e-6,
                             0,
                             1,
                             false};

Points ReadPoints(const JsonFields& fields, const char* key, const PointRules& rules) {
  Points points;
  fields.Require(key);
  const json* list = fields.Array(key, kMaxPoints);
  if (list == nullptr) return points;
  bool is_good = list->size() >= rules.least;
  for (const json& point : *list) {
    is_good = is_good && point.is_array() && point.size() == 2 &&
              IsNumber(point[0], rules.low_x, rules.high_x) &&
              IsNumber(point[1], rules.low_y, rules.high_y);
    if (!is_good) break;
    const double x = point[0].get<double>();
    const double y = point[1].get<double>();
    is_good = points.xs.empty() ||
              (x > points.xs.back() && (!rules.is_y_rising || y >= points.ys.back()));
    points.xs.push_back(x);
    points.ys.push_back(y);
  }
  if (!is_good) fields.FailExpected(key, rules.expected);
  return points;
}

class Reader {
 public:
  Reader(const json& object, std::span<const ServedVariant> variants)
      : top_(object, kCalibrationFile, &problem_), calibrations_(variants.size()) {
    agreement_.variants.resize(variants.size());
    for (size_t i = 0; i < variants.size(); ++i) served_[variants[i].id] = static_cast<int>(i);
    for (const ServedVariant& variant : variants) {
      has_one_score_.push_back(variant.head == HeadKind::kClassifier &&
                               variant.loaded.num_outputs == 1);
    }
  }

  absl::StatusOr<FamilyCalibration> Read() {
    const Names known = {"version", "measured_on", "reference", "variants", "pairs"};
    top_.RefuseUnknown(known);
    top_.Require("version");
    top_.Int("version", kVersion, kVersion);
    reference_ = IndexOf(top_.String("reference").value_or(""));
    top_.Object("measured_on");
    Each("variants", {"id", "ndcg10", "knots", "kendall_tau"},
         [this](const JsonFields& fields) { ReadVariant(fields); });
    Each("pairs", {"first", "second", "points"},
         [this](const JsonFields& fields) { ReadPair(fields); });
    TAILOR_RETURN_IF_ERROR(problem_);
    FamilyCalibration calibration;
    if (has_reference_quality_) {
      agreement_.reference = reference_;
      calibration.agreement = std::move(agreement_);
    }
    if (!pairs_.empty()) {
      calibration.cascades =
          std::make_shared<const CascadeTable>(std::move(calibrations_), std::move(pairs_));
    }
    return calibration;
  }

 private:
  template <typename ReadOne>
  void Each(const char* key, const Names& known, const ReadOne& read) {
    top_.Require(key);
    const json* list = top_.Array(key, kMaxEntries);
    for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
      const std::string where = absl::StrCat(top_.Where(key), "[", i, "]");
      if (!(*list)[i].is_object()) {
        problem_.Update(absl::InvalidArgumentError(
            absl::StrCat(where, ": expected an object, got ", ShortJson((*list)[i]))));
        return;
      }
      const JsonFields fields((*list)[i], where, &problem_);
      fields.RefuseUnknown(known);
      read(fields);
    }
  }

  // -1: not served.
  int Find(const JsonFields& fields, const char* key) const {
    fields.Require(key);
    return IndexOf(fields.String(key).value_or(""));
  }

  int IndexOf(const std::string& id) const {
    const auto found = served_.find(id);
    return found == served_.end() ? -1 : found->second;
  }

  void ReadVariant(const JsonFields& fields) {
    const int variant = Find(fields, "id");
    fields.Require("ndcg10");
    const double quality = fields.Number("ndcg10", 0, 1).value_or(0);
    const Points knots = ReadPoints(fields, "knots", kKnots);
    const std::optional<double> tau = fields.Number("kendall_tau", -1, 1);
    if (variant < 0) return;
    if (tau) {
      agreement_.variants[static_cast<size_t>(variant)] = {.kendall_tau = *tau, .quality = quality};
    }
    if (variant == reference_) {
      agreement_.reference_quality = quality;
      has_reference_quality_ = true;
    }
    if (!has_one_score_[static_cast<size_t>(variant)]) return;
    Calibration& calibration = calibrations_[static_cast<size_t>(variant)];
    calibration.scores.assign(knots.xs.begin(), knots.xs.end());
    calibration.values.assign(knots.ys.begin(), knots.ys.end());
    calibration.quality = quality;
  }

  void ReadPair(const JsonFields& fields) {
    const int first = Find(fields, "first");
    const int second = Find(fields, "second");
    Points points = ReadPoints(fields, "points", kShares);
    if (first < 0 || second < 0 || first == second) return;
    const bool is_calibrated = !calibrations_[static_cast<size_t>(first)].scores.empty() &&
                               !calibrations_[static_cast<size_t>(second)].scores.empty();
    if (!is_calibrated) return;
    pairs_.push_back({.first = first,
                      .second = second,
                      .shares = std::move(points.xs),
                      .qualities = std::move(points.ys)});
  }

  absl::Status problem_;
  const JsonFields top_;
  std::map<std::string, int> served_;
  std::vector<bool> has_one_score_;
  std::vector<Calibration> calibrations_;
  int reference_ = -1;
  bool has_reference_quality_ = false;
  AgreementTable agreement_;
  std::vector<CascadePair> pairs_;
};

}  // namespace

absl::StatusOr<FamilyCalibration> ReadCalibration(const std::filesystem::path& family,
                                                  std::span<const ServedVariant> variants) {
  TAILOR_ASSIGN_OR_RETURN(const ModelFolder folder, ModelFolder::Open(family, family));
  if (!folder.Has(kCalibrationFile)) return FamilyCalibration();
  TAILOR_ASSIGN_OR_RETURN(const json object, folder.ReadJson(kCalibrationFile, {}));
  if (!object.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kCalibrationFile, ": expected an object, got ", ShortJson(object)));
  }
  return Reader(object, variants).Read();
}

}  // namespace tailor
