// SPDX-License-Identifier: Apache-2.0
// What an earlier run of the server knew of a variant's cost, weighed against a new measurement.
#pragma once

#include <span>
#include <vector>

#include "server/pipeline/cost_model.h"

namespace tailor {

// What to fit instead of `samples`:
// - Every time s that is above the prior's prediction p of its shape becomes sqrt(s * p), half the
//   way on a scale of ratios; what is below p stays. A measured time is the least of a few runs:
//   other processes can only make it longer, so that a faster one is believed and a slower one may
//   be a busy neighbour. A change that is real moves the prior half the way at each start, and all
//   the way through what serving observes (server/cost_file.h).
// - Those of `shapes` that there was no time for get p times the geometric mean of what the others
//   are above or below theirs: a fit to small shapes alone says little of large ones.
// The prior's ratio is not used. A prior that predicts no time above zero changes nothing.
std::vector<CostSample> TowardsPrior(std::vector<CostSample> samples, const CostCoefficients& prior,
                                     std::span<const WorkShape> shapes);

}  // namespace tailor
