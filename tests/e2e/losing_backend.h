// SPDX-License-Identifier: Apache-2.0
// A cpu backend that loses its device when a test says so.
#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "base/status_macros.h"
#include "engine/backend_factory.h"

namespace tailor::testing {

// Asks before every batch; that which finds no device fails as Unavailable, and a batch after that
// one ends the process with a signal.
class LosingBackend final : public Backend {
 public:
  LosingBackend(std::unique_ptr<Backend> inner, std::function<bool()> is_lost)
      : inner_(std::move(inner)), is_lost_(std::move(is_lost)), info_(inner_->info()) {
    info_.notice = "about to be lost";
  }

  const BackendInfo& info() const override { return info_; }
  absl::StatusOr<LoadedCut> Load(const ModelPackage& package) override {
    return inner_->Load(package);
  }
  absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) override {
    if (was_lost_) std::abort();
    was_lost_ = is_lost_();
    if (was_lost_) return absl::UnavailableError("expected a device, got none");
    return inner_->Run(cut, batch, outputs);
  }

 private:
  const std::unique_ptr<Backend> inner_;
  const std::function<bool()> is_lost_;
  BackendInfo info_;
  bool was_lost_ = false;
};

inline BackendFactory LosingBackends(std::function<bool()> is_lost) {
  return [is_lost = std::move(is_lost)](
             const BackendOptions& options) -> absl::StatusOr<std::unique_ptr<Backend>> {
    TAILOR_ASSIGN_OR_RETURN(std::unique_ptr<Backend> inner, CreateBackend(options));
    return std::make_unique<LosingBackend>(std::move(inner), is_lost);
  };
}

}  // namespace tailor::testing
