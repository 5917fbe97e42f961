// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/window.h"

#include <algorithm>
#include <cmath>

namespace tailor {
namespace {

constexpr double kMinRatio = 0.25;
constexpr double kMaxRatio = 16;
constexpr double kDownGain = 0.2;     // of the way, for every batch seen
constexpr double kForgetSeconds = 3;  // time constant of the return to 1

}  // namespace

CostWindow::CostWindow(const Recorder* recorder)
    : recorder_(recorder), tracks_(static_cast<size_t>(recorder->num_variants())) {}

void CostWindow::Update(TimePoint now) {
  for (size_t variant = 0; variant < tracks_.size(); ++variant) {
    const CostTotals totals = recorder_->Totals(static_cast<int>(variant));
    Track& track = tracks_[variant];
    const double news = totals.batches - track.last_batches;
    if (news <= 0) continue;
    const CostTotals& oldest = track.past[track.next];
    const double modeled = totals.modeled_seconds - oldest.modeled_seconds;
    const double batches = totals.batches - oldest.batches;
    if (modeled > 0) {
      const double current = Ratio(static_cast<int>(variant), now);
      const double seen = (totals.observed_seconds - oldest.observed_seconds) / modeled;
      // Few batches count for little: the rest of a full window is taken to be as fitted.
      const double weight = std::min(1.0, batches / static_cast<double>(kBatches));
      const double target = std::clamp(weight * seen + (1 - weight), kMinRatio, kMaxRatio);
      const double gain = target > current ? 1.0 : std::min(1.0, kDownGain * news);
      track.ratio = current + gain * (target - current);
    }
    track.past[track.next] = totals;
    track.next = (track.next + 1) % kBatches;
    track.last_batches = totals.batches;
    track.seen = now;
  }
}

double CostWindow::Ratio(int variant, TimePoint now) const {
  const Track& track = tracks_[static_cast<size_t>(variant)];
  const double age = std::max(0.0, ToSeconds(now - track.seen));
  return 1 + (track.ratio - 1) * std::exp(-age / kForgetSeconds);
}

}  // namespace tailor
