// SPDX-License-Identifier: Apache-2.0
// /metrics, without making its callers include Prometheus.
#pragma once

#include <string>

#include "server/telemetry/recorder.h"

namespace tailor {

// Prometheus text exposition format. Thread-safe.
std::string RenderMetrics(const Recorder& recorder);

}  // namespace tailor
