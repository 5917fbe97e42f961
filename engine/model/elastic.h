// SPDX-License-Identifier: Apache-2.0
// The sub-networks of an elastic variant: its heads and inner neurons are sorted by importance, so
// that a prefix of both, in some of the layers, is a smaller model.
#pragma once

#include <vector>

namespace tailor {

// The names of one sub-network, as variant.json spells them: shares of the whole.
struct SubNetwork {
  double width = 1;
  double depth = 1;
};

// Every width goes with every depth. Explicit counts: a reader needs no rounding rule.
struct Elastic {
  struct Width {
    double width = 1;
    int num_heads = 0;  // of each layer: the first ones
    int ffn_dim = 0;
  };
  struct Depth {
    double depth = 1;
    std::vector<int> layers;  // rows of the layer table, ascending
  };

  std::vector<Width> widths;
  std::vector<Depth> depths;
};

}  // namespace tailor
