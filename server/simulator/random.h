// SPDX-License-Identifier: Apache-2.0
// Random numbers that are the same on every machine and with every compiler: the standard library
// leaves the algorithms of its distributions open.
#pragma once

#include <array>
#include <cstdint>

namespace tailor {

// xoshiro256++ (Blackman and Vigna, 2019), seeded by splitmix64. One owner, not thread-safe.
class Random {
 public:
  // Streams of one seed are independent of each other.
  explicit Random(uint64_t seed, uint64_t stream = 0);

  uint64_t Bits();
  double Uniform();                // in (0, 1)
  int64_t Integer(int64_t count);  // in [0, count), count > 0
  double Exponential();            // mean 1
  double Normal();                 // mean 0, deviation 1
  // Mean 1, squared coefficient of variation `squared_cv` > 0 (Marsaglia and Tsang, 2000).
  double Gamma(double squared_cv);
  // Median 1, `sigma` the deviation of its logarithm.
  double LogNormal(double sigma);

 private:
  std::array<uint64_t, 4> state_;
};

}  // namespace tailor
