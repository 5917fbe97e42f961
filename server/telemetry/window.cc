// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/window.h"

#include <algorithm>
#include <cmath>

namespace tailor {
namespace {

constexpr double kMinRatio = 0.25;
constexpr double kMaxRatio = 16;
constexpr double kDownGain = 0.2;  // of the way, for every batch seen
// Time constants of the way to what is shared, or to 1.
constexpr double kForgetSeconds = 3;
constexpr double kShareSeconds = 0.25;  // upwards
// A fit may be wrong by this factor for one variant: no news of the others.
constexpr double kFitError = 1.25;

// What is left of a ratio that was last seen then.
double Forget(double ratio, double towards, TimePoint seen, TimePoint now) {
  if (ratio == towards) return ratio;
  const double age = std::max(0.0, ToSeconds(now - seen));
  const double constant = towards > ratio ? kShareSeconds : kForgetSeconds;
  return towards + (ratio - towards) * std::exp(-age / constant);
}

}  // namespace

CostWindow::CostWindow(const Recorder* recorder)
    : recorder_(recorder), tracks_(static_cast<size_t>(recorder->num_variants())) {}

void CostWindow::Update(TimePoint now) {
  const uint64_t version = recorder_->batches_version();
  if (version == version_) return;
  version_ = version;
  const double shared = Shared(now);
  CostTotals all;
  for (size_t i = 0; i < tracks_.size(); ++i) {
    const int variant = static_cast<int>(i);
    Track& track = tracks_[i];
    if (const uint64_t news = recorder_->batches_version(variant); news != track.version) {
      track.version = news;
      track.totals = recorder_->Totals(variant);
      Observe(track.totals, Ratio(variant, shared, now), now, &track);
    }
    all.batches += track.totals.batches;
    all.observed_seconds += track.totals.observed_seconds;
    all.modeled_seconds += track.totals.modeled_seconds;
  }
  Observe(all, Forget(host_.ratio, 1, host_.seen, now), now, &host_);
}

void CostWindow::Observe(const CostTotals& totals, double current, TimePoint now, Track* track) {
  const double news = totals.batches - track->last_batches;
  if (news <= 0) return;
  const CostTotals& oldest = track->past[track->next];
  const double modeled = totals.modeled_seconds - oldest.modeled_seconds;
  const double batches = totals.batches - oldest.batches;
  if (modeled > 0) {
    const double seen = (totals.observed_seconds - oldest.observed_seconds) / modeled;
    // Few batches count for little: the rest of a full window is taken to be as fitted.
    const double weight = std::min(1.0, batches / static_cast<double>(kBatches));
    const double target = std::clamp(weight * seen + (1 - weight), kMinRatio, kMaxRatio);
    const double gain = target > current ? 1.0 : std::min(1.0, kDownGain * news);
    track->ratio = current + gain * (target - current);
  }
  track->past[track->next] = totals;
  track->next = (track->next + 1) % kBatches;
  track->last_batches = totals.batches;
  track->seen = now;
}

double CostWindow::Shared(TimePoint now) const {
  const double host = Forget(host_.ratio, 1, host_.seen, now);
  return host > 1 ? std::max(1.0, host / kFitError) : std::min(1.0, host * kFitError);
}

double CostWindow::Ratio(int variant, double shared, TimePoint now) const {
  const Track& track = tracks_[static_cast<size_t>(variant)];
  return Forget(track.ratio, shared, track.seen, now);
}

}  // namespace tailor
