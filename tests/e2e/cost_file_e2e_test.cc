// SPDX-License-Identifier: Apache-2.0
// Costs kept between two runs of a whole server.
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "tests/e2e/test_server.h"

namespace tailor {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::TempFolder;
using testing::TestServer;

class CostFileServing : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::WriteTinyFamily(family_.path());
    config_.cost_file = (folder_.path() / "costs.json").string();
    config_.drain_grace = Duration::zero();
  }

  json Kept() const {
    std::ifstream file(config_.cost_file);
    return json::parse(file);
  }
  void Write(const json& kept) const { std::ofstream(config_.cost_file) << kept; }

  // From start to end.
  void RunServer() const {
    TestServer server(family_.path(), config_);
    server.server().Shutdown();
  }

  TempFolder family_;
  TempFolder folder_;
  ServerConfig config_;
};

TEST_F(CostFileServing, TheSecondStartKnowsWhatTheFirstMeasured) {
  RunServer();
  json kept = Kept();
  ASSERT_EQ(kept["variants"].size(), 2U);
  EXPECT_EQ(kept["variants"][0]["id"], "large");
  EXPECT_EQ(kept["host"]["device"], "cpu");
  // A prior that no run is near to: whatever is measured meets it half the way, so that a batch of
  // less than a second is fitted as less than sqrt(1 s * 1 fs) = 32 ns, which no engine takes.
  for (json& variant : kept["variants"]) {
    for (const char* term : {"per_token_s", "per_square_s", "per_row_s"}) variant[term] = 0;
    variant["fixed_s"] = 1e-15;
  }
  Write(kept);
  RunServer();
  const json after = Kept();
  double smallest_batch = 0;
  for (const char* term : {"fixed_s", "per_token_s", "per_square_s", "per_row_s"}) {
    smallest_batch += after["variants"][0][term].get<double>();
  }
  EXPECT_GT(smallest_batch, 1e-15);
  EXPECT_LT(smallest_batch, 100e-9);
}

TEST_F(CostFileServing, AFileOfAnotherHostIsReplaced) {
  RunServer();
  json kept = Kept();
  kept["host"]["cpu"] = "another";
  kept["variants"][0]["fixed_s"] = 5000;
  Write(kept);
  RunServer();
  EXPECT_NE(Kept()["host"]["cpu"], "another");
  EXPECT_LT(Kept()["variants"][0]["fixed_s"].get<double>(), 5000);
}

TEST_F(CostFileServing, AnUnwritablePathKeepsTheServerFromStarting) {
  config_.family = family_.path().string();
  config_.listen = "127.0.0.1:0";
  config_.http_listen = "";
  config_.cost_file = (folder_.path() / "none" / "costs.json").string();
  const SteadyClock clock;
  const auto server = Server::Start(config_, &clock);
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(std::string(server.status().message()),
              HasSubstr("cost-file: expected a writable path, got "));
}

}  // namespace
}  // namespace tailor
