// SPDX-License-Identifier: Apache-2.0
// The folders of tests/golden are what Hugging Face's own libraries write; all of them load.
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/model/family_folder.h"

namespace tailor {
namespace {

TEST(GoldenFoldersTest, AllLoad) {
  int num_folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden")) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path());
    const auto family = LoadFamilyFolder(entry.path() / "model");
    ASSERT_TRUE(family.ok()) << family.status();
    for (const VariantProblem& problem : family->problems) ADD_FAILURE() << problem.status;
    EXPECT_EQ(family->variants.size(), 1u);
    ++num_folders;
  }
  EXPECT_GE(num_folders, 8);
}

}  // namespace
}  // namespace tailor
