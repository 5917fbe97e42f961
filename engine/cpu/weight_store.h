// SPDX-License-Identifier: Apache-2.0
// What the engine makes of stored tensors, once for all variants that are views of the same ones:
// the sub-networks of an elastic file, and forms of a parent that share its tables.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "engine/cpu/tile_packing.h"
#include "engine/model/model_package.h"

namespace tailor {

// Single-threaded, at Load. Keeps nothing alive: what no model holds any more is made anew.
class WeightStore {
 public:
  // The tensor as f32.
  std::shared_ptr<const std::vector<float>> Floats(const ModelPackage& package,
                                                   const TensorView& view);

  // Panels of the whole rows of the stored matrix, also of the columns that the view leaves out,
  // and of at least the view's rows. type: kInt8 of stored codes, else of floats, which are rounded
  // to f16 first when the package's format says so and `is_head` does not, and multiplied by
  // `factor`.
  std::shared_ptr<const TilePanels> Panels(const ModelPackage& package, const TensorView& view,
                                           TileType type, float factor, bool is_head);

  // Bytes, so far, that a caller got and did not have to allocate.
  size_t reused_bytes() const { return reused_bytes_; }

 private:
  // An address means the same tensor as long as the storage it lies in is alive.
  struct Owner {
    std::weak_ptr<const void> storage, derived;

    static Owner Of(const ModelPackage& package);
    bool Owns(const ModelPackage& package) const;
  };
  template <typename Value>
  struct Entry {
    Owner owner;
    std::weak_ptr<const Value> value;
  };
  using FloatsKey = std::tuple<const std::byte*, DType, size_t>;  // address, of, elements
  // address, elements a row, of, to, factor, rounded to f16
  using PanelsKey = std::tuple<const std::byte*, int, DType, TileType, float, bool>;

  std::map<FloatsKey, Entry<std::vector<float>>> floats_;
  std::map<PanelsKey, Entry<TilePanels>> panels_;
  size_t reused_bytes_ = 0;
};

}  // namespace tailor
