// SPDX-License-Identifier: Apache-2.0
// What generated requests ask for: documents, their lengths, budgets, priorities.
#pragma once

#include <cstdint>
#include <vector>

#include "server/simulator/profile.h"
#include "server/simulator/random.h"
#include "server/simulator/request_source.h"

namespace tailor {

struct MixSpec {
  // Five classes of budget, 0.4 to 30 times the profile's unit, in equal shares; otherwise 5 units
  // for all.
  bool has_budget_classes = false;
  // 1 to 256 documents, log-uniform, with budgets that grow with the root of the work; otherwise
  // the profile's usual number.
  bool has_sizes = false;
  // 60, 30 and 10 % at priority 0, 1 and 2; otherwise all at 0.
  bool has_priorities = false;
};

// One owner. Lengths are log-normal around the profile's usual one (its median; deviation of the
// logarithm 0.4).
class RequestMix {
 public:
  // `profile` outlives it.
  RequestMix(const Profile* profile, MixSpec spec, uint64_t seed);

  // All but the offset.
  void Fill(SimulatedRequest* request);
  std::vector<int32_t> Lengths(int documents);

 private:
  const Profile& profile_;
  const MixSpec spec_;
  const double unit_seconds_;
  Random random_;
};

// Requests of that mix that the profile's capacity cut answers in a second of full batches: what
// load 1 means.
double CapacityPerSecond(const Profile& profile, MixSpec spec);

}  // namespace tailor
