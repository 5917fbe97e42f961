// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/nearest_name.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/refusal.h"

namespace tailor {
namespace {

// Whether the variant's head gives what the request asks for.
bool HasOutput(const ServedVariant& variant, RequestKind kind) {
  const bool is_classifier = variant.head == HeadKind::kClassifier;
  switch (kind) {
    case RequestKind::kEmbed:
      return variant.head == HeadKind::kEmbedding;
    case RequestKind::kClassify:
      return is_classifier;
    case RequestKind::kRank:
    case RequestKind::kScore:
      // Of several classes, one must have been named as the score; of two, the second is.
      return is_classifier && (variant.task.kind != TaskKind::kClassification ||
                               variant.task.score_index > 0 || variant.loaded.num_outputs == 1);
  }
  return false;
}

std::string_view NeededOutput(RequestKind kind) {
  switch (kind) {
    case RequestKind::kEmbed:
      return "an embedding head";
    case RequestKind::kClassify:
      return "a classifier";
    case RequestKind::kRank:
    case RequestKind::kScore:
      return "a classifier with a score";
  }
  return "";
}

absl::Status UnknownVariant(const std::string& id, std::span<const ServedVariant> served) {
  std::vector<std::string> ids;
  for (const ServedVariant& variant : served) ids.push_back(variant.id);
  const std::string nearest = NearestName(id, ids);
  return MakeRefusal(
      {.refusal = Refusal::kUnknownVariant},
      absl::StrCat("variant: expected one of the family, got \"", id, "\"",
                   nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?")));
}

absl::Status UnsupportedOutput(RequestKind kind, std::string_view of) {
  return MakeRefusal({.refusal = Refusal::kUnsupportedOutput},
                     absl::StrCat("output: expected ", std::string(NeededOutput(kind)), ", ",
                                  std::string(of), " has none"));
}

absl::Status TooGood(double wanted, double best) {
  return MakeRefusal({.refusal = Refusal::kQualityInfeasible},
                     absl::StrFormat("min_quality: expected at most %.3f, the best there is, got "
                                     "%.3f",
                                     best, wanted));
}

}  // namespace

absl::StatusOr<VariantSet> AdmissibleVariants(const Request& request,
                                              std::span<const ServedVariant> served,
                                              VariantSet choosable) {
  VariantSet candidates = choosable;
  if (!request.variant.empty()) {
    const auto pinned =
        std::find_if(served.begin(), served.end(),
                     [&](const ServedVariant& variant) { return variant.id == request.variant; });
    if (pinned == served.end()) return UnknownVariant(request.variant, served);
    candidates = OneVariant(static_cast<int>(pinned - served.begin()));
  }
  if (candidates.none()) {
    return MakeRefusal({.refusal = Refusal::kQualityInfeasible},
                       "variant: expected a pin, since no variant's quality is known");
  }
  VariantSet with_output;
  VariantSet good_enough;
  double best = 0;
  for (size_t i = 0; i < served.size(); ++i) {
    const int index = static_cast<int>(i);
    if (!Contains(candidates, index) || !HasOutput(served[i], request.kind)) continue;
    with_output.set(i);
    const double quality = served[i].quality ? served[i].quality->ndcg10 : 0;
    best = std::max(best, quality);
    if (quality >= request.min_quality) good_enough.set(i);
  }
  if (with_output.none()) {
    return UnsupportedOutput(request.kind,
                             request.variant.empty() ? "the family" : request.variant);
  }
  if (good_enough.none()) return TooGood(request.min_quality, best);
  return good_enough;
}

}  // namespace tailor
