// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/weight_store.h"

#include <cstring>
#include <span>
#include <utility>

namespace tailor {
namespace {

bool IsSame(const std::weak_ptr<const void>& seen, const std::shared_ptr<const void>& now) {
  if (now == nullptr) return !seen.owner_before(now) && !now.owner_before(seen);
  return seen.lock() == now;
}

TilePanels Pack(const TensorView& view, TileType type, float factor, bool is_f16) {
  const auto out = static_cast<int>(view.dim(0));
  const auto in = static_cast<int>(view.dim(1));
  if (type == TileType::kInt8) {
    std::vector<int8_t> codes(view.num_elements());
    std::memcpy(codes.data(), view.data, codes.size());
    return PackCodes(codes, out, in);
  }
  std::vector<float> values = ToF32(view);
  for (float& value : values) value = (is_f16 ? RoundToF16(value) : value) * factor;
  return PackFloats(type, values, out, in);
}

}  // namespace

WeightStore::Owner WeightStore::Owner::Of(const ModelPackage& package) {
  return {.storage = package.storage, .derived = package.derived_storage};
}

bool WeightStore::Owner::Owns(const ModelPackage& package) const {
  return package.storage != nullptr && IsSame(storage, package.storage) &&
         IsSame(derived, package.derived_storage);
}

std::shared_ptr<const std::vector<float>> WeightStore::Floats(const ModelPackage& package,
                                                              const TensorView& view) {
  Entry<std::vector<float>>& entry = floats_[{view.data, view.dtype, view.num_elements()}];
  std::shared_ptr<const std::vector<float>> value = entry.value.lock();
  if (value != nullptr && entry.owner.Owns(package)) {
    reused_bytes_ += value->size() * sizeof(float);
    return value;
  }
  value = std::make_shared<const std::vector<float>>(ToF32(view));
  entry = {.owner = Owner::Of(package), .value = value};
  return value;
}

std::shared_ptr<const TilePanels> WeightStore::Panels(const ModelPackage& package,
                                                      const TensorView& view, TileType type,
                                                      float factor, bool is_head) {
  const TensorView whole = WholeRows(view);
  const bool is_f16 = !is_head && package.format == WeightFormat::kF16;
  const auto out = static_cast<int>(whole.dim(0));
  Entry<TilePanels>& entry =
      panels_[{view.data, static_cast<int>(whole.dim(1)), view.dtype, type, factor, is_f16}];
  std::shared_ptr<const TilePanels> value = entry.value.lock();
  if (value != nullptr && value->out >= out && entry.owner.Owns(package)) {
    reused_bytes_ += value->panel_bytes() * (PaddedOutputs(out) / kPanelOutputs);
    return value;
  }
  value = std::make_shared<const TilePanels>(Pack(whole, type, factor, is_f16));
  entry = {.owner = Owner::Of(package), .value = value};
  return value;
}

}  // namespace tailor
