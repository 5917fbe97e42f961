// SPDX-License-Identifier: Apache-2.0
// Calls in a row of which the first error ends all.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

#include "engine/cuda/cuda_api.h"

namespace tailor::cuda {

// Makes no call any more once one has failed: the callers queue a whole pass and ask in the end.
// Each call is checked.
class CallChain {
 public:
  // The calling thread is bound to the device.
  explicit CallChain(Api* api) : api_(api) {}

  void CopyToDevice(void* to, const void* from, size_t bytes) {
    if (is_ok() && bytes > 0) Note(api_->CopyToDevice(to, from, bytes), "copying to the device");
  }
  void CopyToHost(void* to, const void* from, size_t bytes) {
    if (is_ok() && bytes > 0) Note(api_->CopyToHost(to, from, bytes), "copying to the host");
  }
  void Launch(const KernelCall& call) {
    if (is_ok()) Note(api_->Launch(call), "launching a kernel");
  }
  void Multiply(const MatrixProduct& product) {
    if (is_ok()) Note(api_->Multiply(product), "queueing a product");
  }

  // Waits for all that is queued, also after an error: nothing may run on when the caller goes on.
  // The loss of the device counts more than what failed before.
  absl::Status Finish() {
    const Error error = api_->Synchronize();
    if (is_ok() || IsSticky(error)) Note(error, "waiting for the device");
    return status_;
  }

 private:
  bool is_ok() const { return status_.ok(); }
  void Note(Error error, std::string_view call) { status_ = ToStatus(error, call); }

  Api* const api_;
  absl::Status status_;
};

}  // namespace tailor::cuda
