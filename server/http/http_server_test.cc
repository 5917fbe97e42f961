// SPDX-License-Identifier: Apache-2.0
#include "server/http/http_server.h"

#include <atomic>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;

nlohmann::json EmptyStatus() {
  return {{"family", "tiny"},
          {"state", "ready"},
          {"version", "1"},
          {"policy", "tailored"},
          {"device", "cpu"},
          {"isa", "avx2"},
          {"threads", 1},
          {"uptime_s", 1.0},
          {"resident_bytes", 1 << 20},
          {"queue", {{"requests", 0}, {"tokens", 0}}},
          {"variants", nlohmann::json::array()},
          {"decisions", nlohmann::json::array()}};
}

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = HttpServer::Start({.listen = "127.0.0.1:0", .threads = 1},
                                    {.metrics = [] { return "tailor_up 1\n"; },
                                     .state = [this] { return std::string(state_.load()); },
                                     .status = [] { return EmptyStatus(); }});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  httplib::Result Get(const std::string& path) {
    return httplib::Client("127.0.0.1", server_->port()).Get(path.c_str());
  }

  std::atomic<const char*> state_{"starting"};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, MetricsArePrometheusText) {
  const httplib::Result result = Get("/metrics");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, "tailor_up 1\n");
  EXPECT_THAT(result->get_header_value("Content-Type"), HasSubstr("version=0.0.4"));
}

TEST_F(HttpServerTest, HealthIsUnavailableUnlessReady) {
  EXPECT_EQ(Get("/healthz")->status, 503);
  state_ = "ready";
  EXPECT_EQ(Get("/healthz")->status, 200);
  state_ = "draining";
  const httplib::Result draining = Get("/healthz");
  EXPECT_EQ(draining->status, 503);
  EXPECT_EQ(draining->body, "draining\n");
}

TEST_F(HttpServerTest, StatusIsAPageOrJson) {
  const httplib::Result page = Get("/statusz");
  ASSERT_TRUE(page);
  EXPECT_THAT(page->body, HasSubstr("<!doctype html>"));
  const httplib::Result json = Get("/statusz?format=json");
  ASSERT_TRUE(json);
  EXPECT_EQ(nlohmann::json::parse(json->body)["family"], "tiny");
}

TEST_F(HttpServerTest, UnknownPagesAreNotFound) { EXPECT_EQ(Get("/nothing")->status, 404); }

TEST_F(HttpServerTest, TwoServersNeverShareAPort) {
  const auto second = HttpServer::Start(
      {.listen = "127.0.0.1:" + std::to_string(server_->port()), .threads = 1}, HttpSources{});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
}

TEST(HttpServer, AddressesAreChecked) {
  for (const std::string listen : {"", "8080", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"}) {
    const auto server = HttpServer::Start({.listen = listen, .threads = 1}, HttpSources{});
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << listen;
  }
}

}  // namespace
}  // namespace tailor
