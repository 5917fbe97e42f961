// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/device_weights.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "engine/cuda/call_chain.h"

namespace tailor::cuda {
namespace {

bool IsSame(const std::weak_ptr<const void>& seen, const std::shared_ptr<const void>& now) {
  return !seen.owner_before(now) && !now.owner_before(seen);
}

// Appends the tensor's numbers as `element`.
void Append(const TensorView& view, Element element, std::vector<std::byte>* bytes) {
  const std::vector<float> values = ToF32(view);
  const auto append = [bytes](const void* data, size_t count) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes->insert(bytes->end(), begin, begin + count);
  };
  if (element == Element::kF32) return append(values.data(), values.size() * sizeof(float));
  std::vector<uint16_t> halves(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    halves[i] = element == Element::kF16 ? F16Bits(values[i]) : Bf16Bits(values[i]);
  }
  append(halves.data(), halves.size() * sizeof(uint16_t));
}

}  // namespace

template <typename Value>
std::shared_ptr<Value> DeviceWeights::Entry<Value>::Find(const ModelPackage& package) const {
  const bool is_same = package.storage != nullptr && IsSame(storage, package.storage) &&
                       IsSame(derived, package.derived_storage);
  return is_same ? value.lock() : nullptr;
}

template <typename Value>
void DeviceWeights::Entry<Value>::Set(const ModelPackage& package,
                                      const std::shared_ptr<Value>& now) {
  storage = package.storage;
  derived = package.derived_storage;
  value = now;
}

absl::StatusOr<Memory> DeviceWeights::Upload(const void* values, size_t bytes) {
  TAILOR_ASSIGN_OR_RETURN(Memory memory, Memory::Allocate(api_, Place::kDevice, bytes));
  CallChain calls(api_);
  calls.CopyToDevice(memory.data(), values, bytes);
  TAILOR_RETURN_IF_ERROR(calls.Finish());
  allocated_bytes_ += bytes;
  return memory;
}

absl::StatusOr<std::shared_ptr<const Memory>> DeviceWeights::Floats(const ModelPackage& package,
                                                                    const TensorView& view) {
  Entry<Memory>& entry = floats_[{view.data, view.dtype, view.num_elements()}];
  if (std::shared_ptr<Memory> found = entry.Find(package)) return found;
  const std::vector<float> values = ToF32(view);
  TAILOR_ASSIGN_OR_RETURN(Memory memory, Upload(values.data(), values.size() * sizeof(float)));
  auto made = std::make_shared<Memory>(std::move(memory));
  entry.Set(package, made);
  return made;
}

absl::StatusOr<std::shared_ptr<const DeviceMatrix>> DeviceWeights::Matrices(
    const ModelPackage& package, std::span<const TensorView* const> views, Element element) {
  const TensorView first = WholeRows(*views.front());
  const auto rows = static_cast<int>(first.dim(0));
  const auto columns = static_cast<int>(first.dim(1));
  Entry<DeviceMatrix>& entry = matrices_[{first.data, first.dtype, columns, views.size(), element}];
  std::shared_ptr<DeviceMatrix> found = entry.Find(package);
  if (found != nullptr && found->rows >= rows) return found;
  std::vector<std::byte> bytes;
  for (const TensorView* view : views) Append(WholeRows(*view), element, &bytes);
  TAILOR_ASSIGN_OR_RETURN(Memory memory, Upload(bytes.data(), bytes.size()));
  if (found == nullptr) {
    found = std::make_shared<DeviceMatrix>();
    entry.Set(package, found);
  }
  allocated_bytes_ -= found->memory.bytes();
  *found = {.memory = std::move(memory), .rows = rows, .columns = columns};
  return found;
}

}  // namespace tailor::cuda
