// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/render_metrics.h"

#include "prometheus/text_serializer.h"

#include "server/telemetry/snapshot.h"

namespace tailor {

std::string RenderMetrics(const Recorder& recorder) {
  return prometheus::TextSerializer().Serialize(Snapshot(&recorder).Collect());
}

}  // namespace tailor
