// SPDX-License-Identifier: Apache-2.0
// Reads what a linear variant has of its own: its `arch` in variant.json, and its tensors.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

#include "engine/model/json_fields.h"
#include "engine/model/linear_model.h"
#include "engine/model/model_folder.h"

namespace tailor {

// Whether variant.json's `arch` is that of a linear variant.
bool IsLinearArch(const nlohmann::json& arch);

// Problems go where those of `arch` go; the result is then not to be used.
LinearSpec ReadLinearSpec(const JsonFields& arch);

struct LinearFiles {
  LinearModel model;  // views into `storage`
  std::shared_ptr<const void> storage;
  int64_t num_parameters = 0;
  int64_t weight_bytes = 0;
};

// Reads model.safetensors. Refuses missing, additional and misshapen tensors, and negative idf.
absl::StatusOr<LinearFiles> ReadLinearFiles(const ModelFolder& folder, const LinearSpec& spec,
                                            int vocab_size);

}  // namespace tailor
