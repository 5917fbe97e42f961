// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/device_memory.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace tailor::cuda {

absl::StatusOr<Memory> Memory::Allocate(Api* api, Place place, size_t bytes) {
  Memory memory;
  if (bytes == 0) return memory;
  const bool is_device = place == Place::kDevice;
  const Error error =
      is_device ? api->Allocate(bytes, &memory.data_) : api->AllocateHost(bytes, &memory.data_);
  TAILOR_RETURN_IF_ERROR(
      ToStatus(error, absl::StrCat("allocating ", bytes, is_device ? " bytes" : " pinned bytes")));
  memory.api_ = api;
  memory.place_ = place;
  memory.bytes_ = bytes;
  return memory;
}

void Memory::Free() {
  if (data_ == nullptr) return;
  // Of a lost device nothing can be freed, and nobody needs it to be.
  if (place_ == Place::kDevice) {
    static_cast<void>(api_->Free(data_));
  } else {
    static_cast<void>(api_->FreeHost(data_));
  }
  data_ = nullptr;
  bytes_ = 0;
}

}  // namespace tailor::cuda
