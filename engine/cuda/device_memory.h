// SPDX-License-Identifier: Apache-2.0
// A block of the device's memory, or of the host's that the device reaches, and its owner.
#pragma once

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"

#include "engine/cuda/cuda_api.h"

namespace tailor::cuda {

enum class Place { kDevice, kHost };

// Movable; frees its memory. The api outlives it.
class Memory {
 public:
  Memory() = default;
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(api_, other.api_);
    std::swap(place_, other.place_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Memory() { Free(); }

  // ResourceExhausted when there is not enough. No bytes are no memory, and no error.
  static absl::StatusOr<Memory> Allocate(Api* api, Place place, size_t bytes);

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

  void Free();

 private:
  Api* api_ = nullptr;
  Place place_ = Place::kDevice;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace tailor::cuda
