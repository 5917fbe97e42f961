// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/request_mix.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace tailor {
namespace {

constexpr double kUsualUnits = 5;
constexpr double kClassUnits[] = {0.4, 1.5, 4, 10, 30};
constexpr double kMaxDocuments = 256;
constexpr double kLengthSigma = 0.4;
constexpr double kMinTokens = 8;
constexpr uint64_t kMixStream = 31;
// A seed of its own: the capacity is a property of the profile and the mix.
constexpr uint64_t kCapacitySeed = 1;
constexpr int kCapacityDraws = 4096;

}  // namespace

RequestMix::RequestMix(const Profile* profile, MixSpec spec, uint64_t seed)
    : profile_(*profile),
      spec_(spec),
      unit_seconds_(BudgetUnitSeconds(*profile)),
      random_(seed, kMixStream) {}

std::vector<int32_t> RequestMix::Lengths(int documents) {
  std::vector<int32_t> lengths(static_cast<size_t>(documents));
  const double longest = profile_.limits.max_sequence_tokens;
  const double shortest = std::min(kMinTokens, longest);
  for (int32_t& length : lengths) {
    const double tokens = profile_.tokens * random_.LogNormal(kLengthSigma);
    length = static_cast<int32_t>(std::lround(std::clamp(tokens, shortest, longest)));
  }
  return lengths;
}

void RequestMix::Fill(SimulatedRequest* request) {
  int documents = profile_.documents;
  double units = kUsualUnits;
  if (spec_.has_sizes) {
    documents = static_cast<int>(std::exp(random_.Uniform() * std::log(kMaxDocuments + 1)));
    units *= std::max(1.0, std::sqrt(static_cast<double>(documents) / profile_.documents));
  }
  if (spec_.has_budget_classes) {
    units *= kClassUnits[random_.Integer(std::ssize(kClassUnits))] / kUsualUnits;
  }
  request->priority = 0;
  if (spec_.has_priorities) {
    const double draw = random_.Uniform();
    request->priority = draw < 0.6 ? 0 : (draw < 0.9 ? 1 : 2);
  }
  request->budget = profile_.reply_margin + FromSeconds(units * unit_seconds_);
  request->lengths = Lengths(documents);
}

double CapacityPerSecond(const Profile& profile, MixSpec spec) {
  RequestMix mix(&profile, spec, kCapacitySeed);
  const CostCoefficients& cost = profile.cuts[static_cast<size_t>(profile.capacity_cut)].cost;
  SimulatedRequest request;
  double seconds = 0;
  for (int i = 0; i < kCapacityDraws; ++i) {
    mix.Fill(&request);
    WorkShape work;
    for (const int32_t length : request.lengths) work.Add(length);
    seconds += SharedSeconds(cost, work, profile.limits);
  }
  return kCapacityDraws / seconds;
}

}  // namespace tailor
