// SPDX-License-Identifier: Apache-2.0
#include "server/simulator/random.h"

#include <bit>
#include <cmath>
#include <numbers>

namespace tailor {
namespace {

// A gamma variable of unit scale and shape >= 1.
double GammaOfShape(Random* random, double shape) {
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = random->Normal();
    const double v = 1 + c * x;
    if (v <= 0) continue;
    const double cube = v * v * v;
    if (std::log(random->Uniform()) < 0.5 * x * x + d - d * cube + d * std::log(cube)) {
      return d * cube;
    }
  }
}

}  // namespace

Random::Random(uint64_t seed, uint64_t stream) : state_() {
  uint64_t next = seed * 0x9e3779b97f4a7c15U + stream * 0xd1b54a32d192ed03U;
  for (uint64_t& word : state_) {
    next += 0x9e3779b97f4a7c15U;
    uint64_t z = next;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    word = z ^ (z >> 31U);
  }
}

uint64_t Random::Bits() {
  const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
  const uint64_t shifted = state_[1] << 17U;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double Random::Uniform() { return (static_cast<double>(Bits() >> 11U) + 0.5) * 0x1.0p-53; }

int64_t Random::Integer(int64_t count) {
  return static_cast<int64_t>(Uniform() * static_cast<double>(count));
}

double Random::Exponential() { return -std::log(Uniform()); }

double Random::Normal() {
  // One of the two that Box and Muller's transform gives: the other would be state.
  return std::sqrt(-2 * std::log(Uniform())) * std::cos(2 * std::numbers::pi * Uniform());
}

double Random::Gamma(double squared_cv) {
  const double shape = 1 / squared_cv;
  if (shape >= 1) return GammaOfShape(this, shape) * squared_cv;
  return GammaOfShape(this, shape + 1) * std::pow(Uniform(), squared_cv) * squared_cv;
}

double Random::LogNormal(double sigma) { return std::exp(sigma * Normal()); }

}  // namespace tailor
