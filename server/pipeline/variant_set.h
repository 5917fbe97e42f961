// SPDX-License-Identifier: Apache-2.0
// Sets of variants: indices into Ranker::variants(). A sub-network of an elastic variant is a
// variant of its own here.
#pragma once

#include <bitset>
#include <cstddef>

namespace tailor {

inline constexpr int kMaxVariants = 256;
using VariantSet = std::bitset<kMaxVariants>;

inline VariantSet OneVariant(int variant) { return VariantSet().set(static_cast<size_t>(variant)); }
inline VariantSet AllVariants() { return VariantSet().set(); }
inline bool Contains(const VariantSet& set, int variant) {
  return set[static_cast<size_t>(variant)];
}

}  // namespace tailor
