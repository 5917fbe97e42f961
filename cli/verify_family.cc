// SPDX-License-Identifier: Apache-2.0
#include "cli/verify_family.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/single_variant.h"

#include "base/status_macros.h"

namespace tailor {
namespace {

absl::StatusOr<ReferenceCheck> Verify(const ModelPackage& package, const Tokenizer& tokenizer,
                                      ReferenceChecker& checker) {
  TAILOR_ASSIGN_OR_RETURN(const SingleVariant variant, LoadSingleVariant(package, {}));
  return checker.Run(package, tokenizer, std::numeric_limits<int>::max(), variant.loaded,
                     *variant.backend);
}

std::string Describe(const VerifiedVariant& variant) {
  if (!variant.status.ok()) {
    const bool is_tried = !absl::IsFailedPrecondition(variant.status);
    return absl::StrCat(is_tried ? "failed   " : "not run  ", variant.status.message());
  }
  if (!variant.check) return "-        no reference scores";
  const ReferenceCheck& check = *variant.check;
  return absl::StrFormat("%s%d pairs, largest difference %.1e (line %d), tolerance %g",
                         check.passed() ? "ok       " : "failed   ", check.pairs,
                         check.max_difference, check.worst_line, check.tolerance);
}

}  // namespace

std::vector<VerifiedVariant> VerifyFamily(const FamilyFolder& family) {
  std::vector<VerifiedVariant> verified;
  ReferenceChecker checker(family.path);
  for (const ModelPackage& package : family.variants) {
    VerifiedVariant& variant = verified.emplace_back();
    variant.id = package.id;
    if (!package.reference) continue;
    const absl::StatusOr<Tokenizer> tokenizer = MakeTokenizer(package.tokenizer);
    absl::StatusOr<ReferenceCheck> check =
        tokenizer.ok() ? Verify(package, *tokenizer, checker) : tokenizer.status();
    if (check.ok()) {
      variant.check = *check;
    } else {
      variant.status = check.status();
    }
  }
  return verified;
}

bool AllVerified(const std::vector<VerifiedVariant>& verified) {
  return std::all_of(verified.begin(), verified.end(), [](const VerifiedVariant& variant) {
    if (!variant.status.ok()) return absl::IsFailedPrecondition(variant.status);
    return !variant.check || variant.check->passed();
  });
}

std::string VerifyTable(const std::vector<VerifiedVariant>& verified) {
  size_t width = 0;
  for (const VerifiedVariant& variant : verified) width = std::max(width, variant.id.size());
  std::string table;
  for (const VerifiedVariant& variant : verified) {
    absl::StrAppend(&table, variant.id, std::string(width - variant.id.size() + 2, ' '),
                    Describe(variant), "\n");
  }
  return table;
}

}  // namespace tailor
