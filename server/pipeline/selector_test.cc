// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/selector.h"

#include <deque>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tailor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr TimePoint kNow{std::chrono::hours(1)};
const VariantSet kAll = AllVariants();

// A queue of entries whose rows have the same length; times in ms.
class Scene {
 public:
  struct Options {
    int rows = 1;
    int tokens = 100;
    double left_ms = 1000;
    VariantSet admissible = kAll;
    bool is_pinned = false;
    double waited_ms = 0;
  };

  Scene& Add(const Options& options) {
    lengths_.emplace_back(static_cast<size_t>(options.rows), options.tokens);
    QueueEntry entry;
    entry.arrival = kNow - FromSeconds(options.waited_ms * 1e-3);
    entry.deadline = kNow + FromSeconds(options.left_ms * 1e-3);
    entry.is_pinned = options.is_pinned;
    entry.admissible = options.admissible;
    for (const int32_t length : lengths_.back()) entry.total.Add(length);
    entry.waiting = entry.total;
    entry.lengths = lengths_.back();
    entries_.push_back(entry);
    return *this;
  }

  // A variant of 1 ms for 100 tokens times `cost`, without a fixed cost.
  Scene& Variant(std::optional<double> quality, double cost, bool is_available = true) {
    variants_.push_back(
        {.is_available = is_available, .quality = quality, .cost = {.per_token = cost * 1e-5}});
    return *this;
  }

  Selection Select(std::string_view policy = "tailored") {
    for (QueueEntry& entry : entries_) {
      entry.cheapest = CheapestVariant(variants_, entry.admissible, entry.waiting, limits);
    }
    const std::vector<std::string> ids = {"a", "b", "c"};
    const auto selector = MakeSelector(policy, ids);
    EXPECT_TRUE(selector.ok());
    return (*selector)->Select(
        {.entries = entries_, .limits = limits, .num_workers = 1, .safety = safety}, variants_,
        kNow);
  }

  BatchLimits limits;
  double safety = 1;

 private:
  std::deque<std::vector<int32_t>> lengths_;
  std::vector<QueueEntry> entries_;
  std::vector<VariantState> variants_;
};

std::vector<std::pair<int, int>> Portions(const Selection& selection) {
  std::vector<std::pair<int, int>> portions;
  portions.reserve(selection.portions.size());
  for (const Portion& portion : selection.portions) {
    portions.emplace_back(portion.entry, portion.rows);
  }
  return portions;
}

TEST(TailoredSelector, NothingForAnEmptyQueue) {
  const Selection selection = Scene().Variant(0.8, 1).Select();
  EXPECT_EQ(selection.variant, -1);
  EXPECT_THAT(selection.portions, IsEmpty());
}

TEST(TailoredSelector, TakesTheBestQualityThatIsInTime) {
  EXPECT_EQ(Scene().Variant(0.9, 20).Variant(0.7, 1).Add({.left_ms = 21}).Select().variant, 0);
  EXPECT_EQ(Scene().Variant(0.9, 20).Variant(0.7, 1).Add({.left_ms = 19}).Select().variant, 1);
}

TEST(TailoredSelector, SafetyFactorCounts) {
  Scene scene;
  scene.Variant(0.9, 20).Variant(0.7, 1).Add({.left_ms = 21});
  scene.safety = 1.1;
  EXPECT_EQ(scene.Select().variant, 1);
}

// The recent ratio is part of the cost: twice as slow as fitted means half the reach.
TEST(TailoredSelector, ObeysTheRatio) {
  std::vector<VariantState> variants = {{.quality = 0.9, .cost = {.per_token = 1e-5, .ratio = 1}},
                                        {.quality = 0.7, .cost = {.per_token = 1e-6}}};
  WorkShape work;
  work.Add(100);
  EXPECT_EQ(BestInTime(variants, kAll, work, {}, 1, 0.0015), 0);
  variants[0].cost.ratio = 2;
  EXPECT_EQ(BestInTime(variants, kAll, work, {}, 1, 0.0015), 1);
}

TEST(TailoredSelector, ABetterVariantThatIsCheaperWins) {
  EXPECT_EQ(Scene().Variant(0.7, 20).Variant(0.9, 1).Add({}).Select().variant, 1);
}

TEST(TailoredSelector, IgnoresQuarantinedVariants) {
  const Selection selection =
      Scene().Variant(0.9, 1, /*is_available=*/false).Variant(0.7, 1).Add({}).Select();
  EXPECT_EQ(selection.variant, 1);
}

TEST(TailoredSelector, UnknownQualityOnlyByPinOrAlone) {
  const auto selector = MakeSelector("tailored", std::vector<std::string>{"a", "b"});
  const std::vector<VariantState> mixed = {{.quality = std::nullopt}, {.quality = 0.5}};
  EXPECT_EQ((*selector)->Choosable(mixed), OneVariant(1));
  EXPECT_EQ((*selector)->Choosable(std::span(mixed).first(1)), OneVariant(0));
}

TEST(TailoredSelector, ServesThePin) {
  const Selection selection = Scene()
                                  .Variant(0.9, 1)
                                  .Variant(0.5, 2)
                                  .Add({.admissible = OneVariant(1), .is_pinned = true})
                                  .Select();
  EXPECT_EQ(selection.variant, 1);
  EXPECT_EQ(selection.reason, SelectionReason::kPin);
}

TEST(TailoredSelector, SharesABatch) {
  const Selection selection = Scene().Variant(0.9, 1).Add({.rows = 1}).Add({.rows = 1}).Select();
  EXPECT_THAT(Portions(selection), ElementsAre(std::pair(0, 1), std::pair(1, 1)));
  EXPECT_NEAR(selection.predicted_seconds, 0.002, 1e-9);
}

// Without a fixed cost a batch is full at 256 tokens: a lazy request does not block the engine.
TEST(TailoredSelector, CutsLongRequests) {
  const Selection selection = Scene().Variant(0.9, 1).Add({.rows = 50}).Select();
  EXPECT_THAT(Portions(selection), ElementsAre(std::pair(0, 3)));
}

TEST(TailoredSelector, RespectsTheLimits) {
  Scene scene;
  scene.Variant(0.9, 1).Add({.rows = 50, .tokens = 10}).Add({});
  scene.limits = {.max_tokens = 200, .max_sequences = 4, .max_sequence_tokens = 100};
  EXPECT_THAT(Portions(scene.Select()), ElementsAre(std::pair(0, 4)));
  scene.limits.max_sequences = 100;
  EXPECT_THAT(Portions(scene.Select()), ElementsAre(std::pair(0, 20)));
}

// A finish is that of all rows, not of the first batch.
TEST(TailoredSelector, CountsTheBatchesToCome) {
  Scene scene;
  scene.Variant(0.9, 10).Variant(0.7, 1).Add({.rows = 10, .left_ms = 99});
  EXPECT_EQ(scene.Select().variant, 1);  // 10 rows of 10 ms
}

// The lazy one would get better scores in a batch of its own.
TEST(TailoredSelector, DoesNotDegradeALazyRequestForAnUrgentOne) {
  const Selection selection =
      Scene().Variant(0.9, 10).Variant(0.7, 1).Add({.left_ms = 5}).Add({.left_ms = 500}).Select();
  EXPECT_EQ(selection.variant, 1);
  EXPECT_THAT(Portions(selection), ElementsAre(std::pair(0, 1)));
}

// Whoever has to take the cheap one anyway joins.
TEST(TailoredSelector, UrgentRequestsShareTheCheapVariant) {
  const Selection selection =
      Scene().Variant(0.9, 10).Variant(0.7, 1).Add({.left_ms = 5}).Add({.left_ms = 6}).Select();
  EXPECT_THAT(Portions(selection), ElementsAre(std::pair(0, 1), std::pair(1, 1)));
}

TEST(TailoredSelector, DoesNotTakeWhoWouldMakeTheBatchLate) {
  const Selection selection =
      Scene().Variant(0.9, 1).Add({.left_ms = 1.5}).Add({.left_ms = 100}).Select();
  EXPECT_THAT(Portions(selection), ElementsAre(std::pair(0, 1)));
}

// The better variant would fit the head, but not what stands behind it.
TEST(TailoredSelector, DegradesForTheQueueBehind) {
  Scene scene;
  scene.Variant(0.9, 30).Variant(0.7, 1).Add({.rows = 1, .left_ms = 40});
  EXPECT_EQ(scene.Select().variant, 0);
  for (int i = 0; i < 15; ++i) scene.Add({.rows = 1, .left_ms = 42});
  const Selection selection = scene.Select();
  EXPECT_EQ(selection.variant, 1);
  EXPECT_EQ(selection.reason, SelectionReason::kDegraded);
}

// Nothing saves the one behind, so the head need not suffer for it.
TEST(TailoredSelector, DoesNotDegradeForTheLost) {
  Scene scene;
  scene.Variant(0.9, 30).Variant(0.7, 1).Add({.left_ms = 40}).Add({.rows = 100, .left_ms = 41});
  EXPECT_EQ(scene.Select().variant, 0);
}

TEST(TailoredSelector, GivesUpWhatNothingCanAnswer) {
  const Selection selection =
      Scene().Variant(0.9, 10).Variant(0.7, 5).Add({.left_ms = 1}).Add({.left_ms = 100}).Select();
  EXPECT_THAT(selection.hopeless, ElementsAre(0));
  EXPECT_THAT(Portions(selection), ElementsAre(std::pair(1, 1)));
}

TEST(TailoredSelector, ReasonsOfSingleVariants) {
  EXPECT_EQ(Scene().Variant(0.9, 1).Add({}).Select().reason, SelectionReason::kFit);
  EXPECT_EQ(Scene().Variant(0.9, 1).Variant(0.5, 1).Add({}).Select().reason, SelectionReason::kFit);
}

// Waiting used up the time that the better one needed.
TEST(TailoredSelector, SaysDegradedWhenAnIdleServerHadDoneBetter) {
  const Selection selection =
      Scene().Variant(0.9, 20).Variant(0.7, 1).Add({.left_ms = 10, .waited_ms = 90}).Select();
  EXPECT_EQ(selection.variant, 1);
  EXPECT_EQ(selection.reason, SelectionReason::kDegraded);
}

TEST(FixedSelector, RunsItsVariantAndPins) {
  const std::vector<std::string> ids = {"a", "b"};
  const auto selector = MakeSelector("fixed:b", ids);
  ASSERT_TRUE(selector.ok());
  const std::vector<VariantState> variants = {{.quality = 0.9}, {.quality = std::nullopt}};
  EXPECT_EQ((*selector)->Choosable(variants), OneVariant(1));
  const Selection selection =
      Scene().Variant(0.9, 1).Variant(0.5, 2).Add({.admissible = OneVariant(1)}).Select("fixed:b");
  EXPECT_EQ(selection.variant, 1);
  EXPECT_EQ(selection.reason, SelectionReason::kFit);
}

TEST(MakeSelector, NamesTheNearestPolicy) {
  const std::vector<std::string> ids = {"large", "small"};
  const auto unknown = MakeSelector("fixed:smal", ids);
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("fixed:small"));
  const auto misspelt = MakeSelector("tailord", ids);
  EXPECT_THAT(std::string(misspelt.status().message()), HasSubstr("tailored"));
}

// The same input gives the same output: a simulator can replay it.
TEST(TailoredSelector, IsDeterministic) {
  Scene scene;
  scene.Variant(0.9, 10).Variant(0.7, 1).Variant(0.5, 0.5);
  for (int i = 0; i < 100; ++i) scene.Add({.rows = 1 + i % 5, .left_ms = 20.0 + i});
  const Selection first = scene.Select();
  const Selection second = scene.Select();
  EXPECT_EQ(first.variant, second.variant);
  EXPECT_EQ(Portions(first), Portions(second));
}

}  // namespace
}  // namespace tailor
