// SPDX-License-Identifier: Apache-2.0
// Stored tensors on the device, each once for all variants that are views of it: the sub-networks
// of an elastic variant, and forms of a parent that share its tables.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <tuple>

#include "absl/status/statusor.h"

#include "engine/cuda/device_memory.h"
#include "engine/model/model_package.h"

namespace tailor::cuda {

// One matrix or several of the same shape behind each other, such as query, key and value. A view
// of its first rows, or of the first columns of all, is a smaller model's weight.
struct DeviceMatrix {
  Memory memory;
  int rows = 0;     // of each
  int columns = 0;  // numbers from one row to the next

  ptrdiff_t step() const { return static_cast<ptrdiff_t>(rows) * columns; }
};

// Single-threaded, at Load. Keeps nothing alive: what no model holds any more is made anew.
class DeviceWeights {
 public:
  explicit DeviceWeights(Api* api) : api_(api) {}

  // The tensor as f32.
  absl::StatusOr<std::shared_ptr<const Memory>> Floats(const ModelPackage& package,
                                                       const TensorView& view);

  // Matrices of equal shape as `element`, rounded to nearest, with all columns that are stored. One
  // that has been asked for with fewer rows grows in place, so that whoever holds it goes on with
  // the same first rows. They are told apart by the first one.
  absl::StatusOr<std::shared_ptr<const DeviceMatrix>> Matrices(
      const ModelPackage& package, std::span<const TensorView* const> views, Element element);

  // Bytes of the device, so far, that were allocated for what callers got.
  size_t allocated_bytes() const { return allocated_bytes_; }

 private:
  // An address means the same tensor as long as the storage it lies in is alive.
  template <typename Value>
  struct Entry {
    std::weak_ptr<const void> storage, derived;
    std::weak_ptr<Value> value;

    std::shared_ptr<Value> Find(const ModelPackage& package) const;
    void Set(const ModelPackage& package, const std::shared_ptr<Value>& now);
  };
  absl::StatusOr<Memory> Upload(const void* values, size_t bytes);

  Api* const api_;
  std::map<std::tuple<const std::byte*, DType, size_t>, Entry<Memory>> floats_;
  // address, of, columns, how many, to
  std::map<std::tuple<const std::byte*, DType, int, size_t, Element>, Entry<DeviceMatrix>>
      matrices_;
  size_t allocated_bytes_ = 0;
};

}  // namespace tailor::cuda
