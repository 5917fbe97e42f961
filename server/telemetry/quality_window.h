// SPDX-License-Identifier: Apache-2.0
// What a variant's quality is on the traffic of late: the evaluated one, moved by how much more or
// less its orders agree with the best variant's than they did on the family's own lists.
#pragma once

#include <optional>
#include <vector>

#include "server/telemetry/recorder.h"

namespace tailor {

// Agreement with the reference, measured offline on the family's lists.
struct ExpectedAgreement {
  double kendall_tau = 0;
  double quality = 0;  // of the variant on the same lists
};

struct AgreementTable {
  int reference = -1;  // -1: nothing is known
  double reference_quality = 0;
  std::vector<std::optional<ExpectedAgreement>> variants;  // one a variant
};

struct EvaluatedQuality {
  std::optional<double> value;
  double half_width = 0;  // of its 95 % interval; 0: not known
};

// Not thread-safe; one owner. Deterministic: no clock inside.
class QualityWindow {
 public:
  // Fewer reviews of a variant move nothing; at this many half of what they say counts.
  static constexpr double kLeastReviews = 50;
  // No move is larger, nor larger than the interval of the evaluation: agreement stands for
  // quality, and must not overrule labels.
  static constexpr double kMostMove = 0.02;

  // `recorder` outlives it; one quality a variant.
  QualityWindow(const Recorder* recorder, std::vector<EvaluatedQuality> evaluated,
                AgreementTable expected);

  // Takes in what the recorder has seen since the last call.
  void Update();

  // Absent for a variant that was not evaluated. Never above the reference's unless evaluated so.
  std::optional<double> Quality(int variant) const {
    return tracks_[static_cast<size_t>(variant)].quality;
  }

 private:
  struct Track {
    ReviewTotals seen;
    double weight = 0;       // of the last reviews, older ones fading
    double discordance = 0;  // their weighted sum
    std::optional<double> quality;
  };

  double Moved(const Track& track, const ExpectedAgreement& expected,
               const EvaluatedQuality& evaluated) const;

  const Recorder* const recorder_;
  const std::vector<EvaluatedQuality> evaluated_;
  const AgreementTable expected_;
  const double slope_;  // quality lost a unit of discordance, in this family
  std::vector<Track> tracks_;
};

}  // namespace tailor
