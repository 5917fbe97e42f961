// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/traffic.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "server/simulator/request_mix.h"

namespace tailor {
namespace {

Profile TestProfile() {
  Profile profile;
  profile.documents = 4;
  profile.tokens = 64;
  profile.cuts = {{.id = "large", .quality = 0.9, .cost = {.fixed = 1e-4, .per_token = 1e-5}},
                  {.id = "small", .quality = 0.6, .cost = {.fixed = 1e-5, .per_token = 1e-6}}};
  profile.capacity_cut = 1;
  return profile;
}

std::vector<SimulatedRequest> All(std::string_view name, const Profile& profile,
                                  const TrafficOptions& options) {
  absl::StatusOr<std::unique_ptr<RequestSource>> source = MakeTraffic(name, &profile, options);
  EXPECT_TRUE(source.ok()) << source.status();
  std::vector<SimulatedRequest> requests;
  SimulatedRequest request;
  while (*(*source)->Next(&request)) requests.push_back(request);
  return requests;
}

class EveryTraceTest : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryTraceTest, IsOrderedRepeatableAndDiffersBySeed) {
  const Profile profile = TestProfile();
  const TrafficOptions options{.load = 0.5, .run = std::chrono::seconds(5), .seed = 3};
  const std::vector<SimulatedRequest> first = All(GetParam(), profile, options);
  const std::vector<SimulatedRequest> again = All(GetParam(), profile, options);
  TrafficOptions other_seed = options;
  other_seed.seed = 4;
  const std::vector<SimulatedRequest> other = All(GetParam(), profile, other_seed);
  ASSERT_GT(first.size(), 100u);
  ASSERT_EQ(first.size(), again.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].offset, again[i].offset);
    EXPECT_EQ(first[i].budget, again[i].budget);
    EXPECT_EQ(first[i].lengths, again[i].lengths);
    EXPECT_GE(first[i].offset, i == 0 ? Duration::zero() : first[i - 1].offset);
    EXPECT_LT(first[i].offset, options.run);
    EXPECT_GT(first[i].budget, Duration::zero());
    EXPECT_FALSE(first[i].lengths.empty());
  }
  EXPECT_NE(first[1].lengths, other[1].lengths);
}

std::vector<std::string> EveryName() {
  std::vector<std::string> names;
  for (const TrafficName& name : TrafficNames()) names.push_back(name.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, EveryTraceTest, ::testing::ValuesIn(EveryName()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Load 1 keeps the capacity cut busy: the requests of a run cost as many seconds as it has.
TEST(MakeTraffic, LoadIsTheShareOfTheCapacity) {
  const Profile profile = TestProfile();
  for (const char* name : {"poisson", "sizes", "gamma-4"}) {
    double seconds = 0;
    for (const SimulatedRequest& request :
         All(name, profile, {.load = 0.5, .run = std::chrono::seconds(60), .seed = 1})) {
      WorkShape work;
      for (const int32_t length : request.lengths) work.Add(length);
      seconds += SharedSeconds(profile.cuts[1].cost, work, profile.limits);
    }
    EXPECT_NEAR(seconds, 30, 2) << name;
  }
}

TEST(MakeTraffic, MixedHasAllItPromises) {
  const Profile profile = TestProfile();
  std::set<int> priorities;
  size_t least = 1000;
  size_t most = 0;
  Duration shortest = Duration::max();
  Duration longest{};
  for (const SimulatedRequest& request :
       All("mixed", profile, {.load = 1, .run = std::chrono::seconds(60), .seed = 1})) {
    priorities.insert(request.priority);
    least = std::min(least, request.lengths.size());
    most = std::max(most, request.lengths.size());
    shortest = std::min(shortest, request.budget);
    longest = std::max(longest, request.budget);
  }
  EXPECT_EQ(priorities, (std::set<int>{0, 1, 2}));
  EXPECT_EQ(least, 1u);
  EXPECT_GT(most, 240u);
  EXPECT_LE(most, 256u);
  EXPECT_GT(longest, 70 * shortest);
}

TEST(MakeTraffic, UnknownNameListsTheKnown) {
  const Profile profile = TestProfile();
  const absl::Status status = MakeTraffic("gamma4", &profile, {}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(status.message().find("expected a file or one of poisson, gamma-2"),
            absl::string_view::npos);
  EXPECT_NE(status.message().find("did you mean \"gamma-4\"?"), absl::string_view::npos);
}

}  // namespace
}  // namespace tailor
