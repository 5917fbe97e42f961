// SPDX-License-Identifier: Apache-2.0
// Measures what a variant costs, and brings its code and data into the caches on the way.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "engine/api/backend.h"
#include "server/pipeline/cost_model.h"

namespace tailor {

struct WarmUpOptions {
  BatchLimits limits;
  int vocab_size = 1;
  // Spent on one variant, about: no shape is started that would end later, except the smallest.
  Duration time_limit = std::chrono::milliseconds(250);
};

// The shapes that MeasureVariant runs while there is time.
std::vector<WorkShape> WarmUpShapes(const BatchLimits& limits);

// Runs a small grid of shapes, cheap ones first, each once cold and then a few times; the samples
// are the least times. Fails when the backend does.
absl::StatusOr<std::vector<CostSample>> MeasureVariant(Backend* backend, const LoadedCut& loaded,
                                                       const WarmUpOptions& options,
                                                       const Clock* clock);

// One run of a usual shape.
absl::StatusOr<CostSample> MeasureOnce(Backend* backend, const LoadedCut& loaded,
                                       const WarmUpOptions& options, const Clock* clock);

}  // namespace tailor
