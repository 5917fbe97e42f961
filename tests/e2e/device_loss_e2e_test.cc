// SPDX-License-Identifier: Apache-2.0
// What a server says of itself once its device is lost; that its process ends is in
// test_device_loss.py.
#include <atomic>

#include "grpcpp/client_context.h"
#include "gtest/gtest.h"

#include "tests/e2e/losing_backend.h"
#include "tests/e2e/test_server.h"

namespace tailor {
namespace {

using testing::ErrorInfoOf;
using testing::LosingBackends;
using testing::RankRequestOf;
using testing::TempFolder;
using testing::TestServer;

TEST(DeviceLossTest, TheServerIsNotReadyAndSaysSoEverywhere) {
  TempFolder folder;
  testing::WriteTinyFamily(folder.path());
  std::atomic<bool> is_lost = false;
  std::atomic<int> losses = 0;
  TestServer server(folder.path(), {.live_quality_share = 0}, /*warm=*/true,
                    {.create_backend = LosingBackends([&] { return is_lost.load(); }),
                     .on_device_lost = [&](const absl::Status&) { ++losses; }});
  v1::RankResponse response;
  ASSERT_TRUE(server.Rank(RankRequestOf("a", {"b", "c"}), &response).ok());
  ASSERT_EQ(server.Metric("tailor_ready"), 1);
  is_lost = true;
  for (int i = 0; i < 2; ++i) {
    const grpc::Status status = server.Rank(RankRequestOf("a", {"b", "c"}), &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(ErrorInfoOf(status).reason(), "DEVICE_LOST");
  }
  EXPECT_EQ(losses, 1);
  EXPECT_FALSE(server.server().is_ready());
  EXPECT_EQ(server.Page("/healthz"), "failed\n");
  EXPECT_EQ(server.Metric("tailor_ready"), 0);
  EXPECT_EQ(server.Metric("tailor_requests_total", "reason=\"device_lost\""), 2);
  grpc::ClientContext context;
  v1::GetStatusResponse state;
  ASSERT_TRUE(server.admin().GetStatus(&context, v1::GetStatusRequest(), &state).ok());
  EXPECT_EQ(state.state(), "failed");
  EXPECT_EQ(state.notice(), "about to be lost");
  server.server().Shutdown();
}

}  // namespace
}  // namespace tailor
