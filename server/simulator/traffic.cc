// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/traffic.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/nearest_name.h"
#include "server/simulator/arrivals.h"
#include "server/simulator/rate_curve.h"
#include "server/simulator/request_mix.h"

namespace tailor {
namespace {

constexpr uint64_t kFirstArrivalStream = 41;

enum class Shape { kConstant, kRamp, kDay, kFlash };

// One stream of arrivals: its share of the rate and the spread of its gaps.
struct Stream {
  double share;
  double squared_cv;
};

struct TrafficSpec {
  std::string_view name;
  std::string_view what;
  Shape shape = Shape::kConstant;
  double slope = 0;  // kRamp: q/s^2
  std::vector<Stream> streams = {{1, 1}};
  MixSpec mix = {};
};

// A steady base below bursts, as in SuperServe's bursty traces.
std::vector<Stream> OnBase(double squared_cv) { return {{0.25, 0}, {0.75, squared_cv}}; }

TrafficSpec RampSpec(std::string_view name, std::string_view what, double slope) {
  return {.name = name,
          .what = what,
          .shape = Shape::kRamp,
          .slope = slope,
          .streams = {{1, 8}},
          .mix = {}};
}

std::vector<TrafficSpec> Specs() {
  return {
      {.name = "poisson", .what = "independent arrivals"},
      {.name = "gamma-2", .what = "bursts, CV^2 2, on a steady base", .streams = OnBase(2)},
      {.name = "gamma-4", .what = "bursts, CV^2 4, on a steady base", .streams = OnBase(4)},
      {.name = "gamma-8", .what = "bursts, CV^2 8, on a steady base", .streams = OnBase(8)},
      RampSpec("ramp-250", "from a third of the load to all of it in 19.6 s, CV^2 8", 250),
      RampSpec("ramp-500", "the same in 9.8 s", 500),
      RampSpec("ramp-1000", "the same in 4.9 s", 1000),
      RampSpec("ramp-2500", "the same in 2 s", 2500),
      RampSpec("ramp-5000", "the same in 1 s", 5000),
      {.name = "day", .what = "a day's curve with spikes", .shape = Shape::kDay},
      {.name = "flash",
       .what = "half the load, then a crowd of 3 times it",
       .shape = Shape::kFlash},
      {.name = "classes", .what = "five classes of budget", .mix = {.has_budget_classes = true}},
      {.name = "sizes", .what = "1 to 256 documents", .mix = {.has_sizes = true}},
      {.name = "mixed",
       .what = "bursts, CV^2 4, with classes, sizes and priorities",
       .streams = OnBase(4),
       .mix = {.has_budget_classes = true, .has_sizes = true, .has_priorities = true}},
  };
}

RateCurve CurveOf(const TrafficSpec& spec, const TrafficOptions& options) {
  switch (spec.shape) {
    case Shape::kConstant:
      return RateCurve::Constant(options.run);
    case Shape::kRamp:
      return RateCurve::Ramp(options.run, spec.slope);
    case Shape::kDay:
      return RateCurve::Day(options.run, options.seed);
    case Shape::kFlash:
      return RateCurve::Flash(options.run);
  }
  return RateCurve::Constant(options.run);
}

class Traffic final : public RequestSource {
 public:
  Traffic(const TrafficSpec& spec, const Profile* profile, const TrafficOptions& options)
      : curve_(CurveOf(spec, options)), mix_(profile, spec.mix, options.seed) {
    const double rate = options.load * CapacityPerSecond(*profile, spec.mix);
    for (const Stream& stream : spec.streams) {
      Arrivals arrivals(&curve_, rate * stream.share, stream.squared_cv, options.seed,
                        kFirstArrivalStream + streams_.size());
      std::optional<Duration> first = arrivals.Next();
      streams_.push_back({arrivals, first});
    }
  }

  absl::StatusOr<bool> Next(SimulatedRequest* request) override {
    Waiting* earliest = nullptr;
    for (Waiting& stream : streams_) {
      if (stream.next && (earliest == nullptr || *stream.next < *earliest->next)) {
        earliest = &stream;
      }
    }
    if (earliest == nullptr) return false;
    request->offset = *earliest->next;
    earliest->next = earliest->arrivals.Next();
    mix_.Fill(request);
    return true;
  }

 private:
  struct Waiting {
    Arrivals arrivals;
    std::optional<Duration> next;
  };

  const RateCurve curve_;
  RequestMix mix_;
  std::vector<Waiting> streams_;
};

}  // namespace

std::vector<TrafficName> TrafficNames() {
  std::vector<TrafficName> names;
  for (const TrafficSpec& spec : Specs()) {
    names.push_back({std::string(spec.name), std::string(spec.what)});
  }
  return names;
}

absl::StatusOr<std::unique_ptr<RequestSource>> MakeTraffic(std::string_view name,
                                                           const Profile* profile,
                                                           const TrafficOptions& options) {
  std::vector<std::string> names;
  for (const TrafficSpec& spec : Specs()) {
    if (spec.name == name) return std::make_unique<Traffic>(spec, profile, options);
    names.emplace_back(spec.name);
  }
  const std::string nearest = NearestName(name, names);
  return absl::InvalidArgumentError(
      absl::StrCat("trace: expected a file or one of ", absl::StrJoin(names, ", "), ", got \"",
                   std::string(name), "\"",
                   nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?")));
}

}  // namespace tailor
