// SPDX-License-Identifier: Apache-2.0
// What the threads of a pipeline share.
#pragma once

#include <functional>
#include <span>

#include "absl/status/status.h"

#include "base/clock.h"
#include "server/pipeline/batch_queue.h"
#include "server/pipeline/cascade.h"
#include "server/pipeline/current_limits.h"
#include "server/pipeline/decision_log.h"
#include "server/pipeline/live_quality.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/variant_table.h"
#include "server/telemetry/recorder.h"

namespace tailor {

// All of it outlives the threads.
struct PipelineParts {
  std::span<const ServedVariant> served;
  CurrentLimits limits;  // of all workers: the smallest of their backends'
  BatchQueue* queue = nullptr;
  VariantTable* variants = nullptr;
  DecisionLog* decisions = nullptr;
  const CascadeTable* cascade = nullptr;  // null: no cascades
  LiveQuality* live_quality = nullptr;    // null: no reviews
  Recorder* recorder = nullptr;
  const Clock* clock = nullptr;
  // What a backend said that will never run again; by the worker that has it.
  std::function<void(const absl::Status&)> on_device_lost;
};

}  // namespace tailor
