// SPDX-License-Identifier: Apache-2.0
// The generated traces, by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "server/simulator/profile.h"
#include "server/simulator/request_source.h"

namespace tailor {

struct TrafficOptions {
  double load = 0.8;  // 1: the profile's capacity cut would always be busy
  Duration run = std::chrono::seconds(60);
  uint64_t seed = 1;
};

// What `tailor simulate` offers, with a line on each.
struct TrafficName {
  std::string name;
  std::string what;
};
std::vector<TrafficName> TrafficNames();

// InvalidArgument names what is allowed. `profile` outlives the source.
absl::StatusOr<std::unique_ptr<RequestSource>> MakeTraffic(std::string_view name,
                                                           const Profile* profile,
                                                           const TrafficOptions& options);

}  // namespace tailor
