// SPDX-License-Identifier: Apache-2.0
// What the values of a matrix on the device are, and the shape of a launch.
#pragma once

#include <cstddef>

namespace tailor::cuda {

enum class Element { kF32, kF16, kBf16 };

constexpr size_t ByteSize(Element element) { return element == Element::kF32 ? 4 : 2; }

constexpr int kWarp = 32;  // threads that shuffle values among them, on every GPU

// Blocks along x, y and z, and threads of each block along x.
struct LaunchShape {
  int blocks[3] = {1, 1, 1};
  int threads = kWarp;
};

constexpr int CeilDivide(int value, int by) { return (value + by - 1) / by; }

}  // namespace tailor::cuda
