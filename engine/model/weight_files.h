// SPDX-License-Identifier: Apache-2.0
// The tensors of a model folder, from one safetensors file or from shards with an index.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/model/model_folder.h"
#include "engine/model/safetensors.h"
#include "engine/tensor/tensor_view.h"

namespace tailor {

// Sparse files can claim any size. The largest BERT in f32 has 1.4 GB.
inline constexpr uint64_t kMaxWeightBytes = uint64_t{16} << 30;

class WeightFiles {
 public:
  struct Tensor {
    TensorInfo info;
    size_t file = 0;
  };
  // A tensor to read, and the view that gets its data, type and shape.
  struct Request {
    const Tensor* tensor = nullptr;
    TensorView* view = nullptr;
  };

  // Opens model.safetensors, or model.safetensors.index.json with its shards, and validates every
  // header. Reads no tensor.
  static absl::StatusOr<WeightFiles> Open(const ModelFolder& folder);

  // The same for one safetensors file of any name.
  static absl::StatusOr<WeightFiles> OpenFile(const ModelFolder& folder, const std::string& name);

  const std::vector<Tensor>& tensors() const { return tensors_; }

  // Reads the requested tensors into one fresh allocation, 64-byte aligned each, and sets the
  // views. The result keeps them alive. InvalidArgument for a tensor with NaN or infinity.
  absl::StatusOr<std::shared_ptr<const void>> Read(std::span<const Request> requests) const;

 private:
  absl::Status AddFile(const ModelFolder& folder, const std::string& name);
  absl::Status AddShards(const ModelFolder& folder);

  std::vector<InputFile> files_;
  std::vector<Tensor> tensors_;
};

}  // namespace tailor
