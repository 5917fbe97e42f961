// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/policies/registry.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/queue_scene.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string ProblemOf(std::string_view policy) {
  const std::vector<std::string> ids = {"large", "small"};
  return std::string(MakeSelector(policy, ids).status().message());
}

TEST(Registry, EveryPolicyIsListedAndChecked) {
  ASSERT_FALSE(Policies().empty());
  for (const PolicyInfo& info : Policies()) {
    const std::string name = std::string(info.name) + (info.argument.empty() ? "" : ":small");
    EXPECT_EQ(ProblemOf(name), "") << name;
    EXPECT_TRUE(CheckPolicyName(name).ok()) << name;
    EXPECT_THAT(PolicyNames(), HasSubstr(std::string(info.name)));
  }
}

TEST(Registry, NamesTheNearest) {
  EXPECT_THAT(ProblemOf("fixed:smal"), HasSubstr("did you mean \"fixed:small\""));
  EXPECT_THAT(ProblemOf("tailord"), HasSubstr("did you mean \"tailored\""));
  EXPECT_THAT(std::string(CheckPolicyName("slakfit").message()),
              HasSubstr("expected one of tailored, fixed:VARIANT"));
  EXPECT_THAT(std::string(CheckPolicyName("slakfit").message()), HasSubstr("\"slackfit\""));
  EXPECT_FALSE(CheckPolicyName("tailored:x").ok());
}

class EveryPolicy : public ::testing::TestWithParam<std::string> {};

// Whatever it chooses: a batch of what waits, within the limits, with a variant that all admit.
TEST_P(EveryPolicy, WorksTheQueueOff) {
  QueueScene scene(GetParam());
  scene.Variant(0.9, 10).Variant(0.8, 3).Variant(0.7, 1);
  scene.limits = {.max_tokens = 2000, .max_sequences = 16, .max_sequence_tokens = 512};
  for (int i = 0; i < 60; ++i) {
    scene.Add({.rows = 1 + i % 25,
               .tokens = 20 + 3 * i,
               .left_ms = 200.0 + 40 * i,
               .admissible = i % 7 == 0 ? OneVariant(i % 3) : AllVariants(),
               .is_pinned = i % 7 == 0});
  }
  for (int step = 0; step < 2000 && !scene.entries().empty(); ++step) {
    const Selection selection = scene.Select();
    if (selection.variant < 0 && selection.hopeless.empty()) {
      ASSERT_TRUE(selection.wait_until.has_value());
      ASSERT_GT(*selection.wait_until, scene.now());
      scene.Advance(ToMillis(*selection.wait_until - scene.now()));
      continue;
    }
    int64_t rows = 0;
    int64_t tokens = 0;
    for (const Portion& portion : selection.portions) {
      const QueueEntry& entry = scene.entries()[static_cast<size_t>(portion.entry)];
      ASSERT_TRUE(Contains(entry.admissible, selection.variant));
      ASSERT_GT(portion.rows, 0);
      ASSERT_LE(portion.rows, static_cast<int>(entry.lengths.size()));
      rows += portion.rows;
      for (int i = 0; i < portion.rows; ++i) tokens += entry.lengths[static_cast<size_t>(i)];
    }
    ASSERT_LE(rows, 16);
    ASSERT_LE(tokens, 2000);
    scene.Apply(selection);
  }
  EXPECT_THAT(scene.entries(), SizeIs(0));
}

// What no available variant may answer is given up, so that it does not block the others.
TEST_P(EveryPolicy, GivesUpWhatNobodyMayAnswer) {
  QueueScene scene(GetParam());
  scene.Variant(0.9, 1).Variant(0.7, 1, /*is_available=*/false);
  scene.Add({.left_ms = 10, .admissible = OneVariant(1)}).Add({.left_ms = 20});
  Selection selection = scene.Select();
  if (selection.wait_until) {
    scene.Advance(19);
    selection = scene.Select();
  }
  EXPECT_THAT(selection.hopeless, ::testing::ElementsAre(0));
  EXPECT_THAT(PortionsOf(selection), ::testing::ElementsAre(std::pair(1, 1)));
}

INSTANTIATE_TEST_SUITE_P(All, EveryPolicy,
                         ::testing::Values("tailored", "fixed:a", "slackfit", "infaas-mincost",
                                           "infaas-slowest-fit", "proteus", "model-switching",
                                           "aimd"));

}  // namespace
}  // namespace tailor
