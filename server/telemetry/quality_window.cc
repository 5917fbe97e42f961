// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/quality_window.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tailor {
namespace {

// Number of reviews after which one counts for 1/e: traffic changes.
constexpr double kMemory = 500;

// The share of pairs in another order.
double Discordance(double kendall_tau) { return (1 - kendall_tau) / 2; }

// Least squares through the origin of the loss against the reference by the discordance with it:
// one number for the family is steadier than one a variant.
double SlopeOf(const AgreementTable& table) {
  double products = 0;
  double squares = 0;
  for (const std::optional<ExpectedAgreement>& variant : table.variants) {
    if (!variant) continue;
    const double discordance = Discordance(variant->kendall_tau);
    products += discordance * (table.reference_quality - variant->quality);
    squares += discordance * discordance;
  }
  return squares > 0 ? std::max(0.0, products / squares) : 0;
}

}  // namespace

QualityWindow::QualityWindow(const Recorder* recorder, std::vector<EvaluatedQuality> evaluated,
                             AgreementTable expected)
    : recorder_(recorder),
      evaluated_(std::move(evaluated)),
      expected_(std::move(expected)),
      slope_(SlopeOf(expected_)),
      tracks_(evaluated_.size()) {
  for (size_t i = 0; i < tracks_.size(); ++i) tracks_[i].quality = evaluated_[i].value;
}

void QualityWindow::Update() {
  if (expected_.reference < 0) return;
  for (size_t i = 0; i < tracks_.size(); ++i) {
    const std::optional<ExpectedAgreement>& expected = expected_.variants[i];
    const int variant = static_cast<int>(i);
    if (!expected || !evaluated_[i].value || variant == expected_.reference) continue;
    Track& track = tracks_[i];
    const ReviewTotals totals = recorder_->Reviews(variant, expected_.reference);
    const double news = totals.reviews - track.seen.reviews;
    if (news <= 0) continue;
    const double fade = std::exp(-news / kMemory);
    track.weight = fade * track.weight + news;
    track.discordance =
        fade * track.discordance + news - (totals.concordance - track.seen.concordance);
    track.seen = totals;
    if (totals.reviews >= kLeastReviews) track.quality = Moved(track, *expected, evaluated_[i]);
  }
}

double QualityWindow::Moved(const Track& track, const ExpectedAgreement& expected,
                            const EvaluatedQuality& evaluated) const {
  const double trust = track.weight / (track.weight + kLeastReviews);
  const double excess = track.discordance / track.weight - Discordance(expected.kendall_tau);
  const double most =
      evaluated.half_width > 0 ? std::min(evaluated.half_width, kMostMove) : kMostMove;
  const double quality = *evaluated.value + std::clamp(-trust * slope_ * excess, -most, most);
  const double best =
      evaluated_[static_cast<size_t>(expected_.reference)].value.value_or(*evaluated.value);
  return std::clamp(quality, 0.0, std::max(best, *evaluated.value));
}

}  // namespace tailor
