// SPDX-License-Identifier: Apache-2.0
// From the tensors of a folder to views of what they mean. First everything is planned from the
// headers alone, then read, then converted where the stored form is not the one that engines read.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/model/bert_weights.h"
#include "engine/model/stored_forms.h"
#include "engine/model/tensor_pool.h"
#include "engine/model/weight_files.h"

namespace tailor {

// Tensors by canonical name (tensor_names.h). Refers to the WeightFiles.
using TensorIndex = std::map<std::string, const WeightFiles::Tensor*>;

// The views that its functions get are set by Read and must live until then. Errors name the
// tensor; the first one sticks.
class WeightBinder {
 public:
  // `index` outlives the binder. hidden: columns of tables, length of norms.
  WeightBinder(const TensorIndex& index, int hidden) : index_(index), hidden_(hidden) {}

  void Table(const std::string& name, int rows, TensorView* view);
  // Floats or codes; `narrow`: they have that many columns, and a map to the hidden size follows.
  // Comes out as one [rows, hidden] table.
  void WordEmbeddings(int rows, std::optional<int> narrow, TensorView* view);
  // Floats, dense or behind a bitmask.
  void Linear(const std::string& name, int out, int in, LinearWeights* linear);
  // A product of an encoder layer: what Linear takes, or codes with their scales.
  void Product(const std::string& name, int out, int in, LinearWeights* linear);
  void Norm(const std::string& name, NormWeights* norm);

  const absl::Status& status() const { return status_; }
  bool IsTaken(const std::string& name) const { return taken_.contains(name); }
  // Of the dense matrices, without scales and masks.
  int64_t num_parameters() const { return num_parameters_; }
  // As stored.
  int64_t weight_bytes() const { return weight_bytes_; }

  // Call once, when status() is ok. The result keeps the views' memory.
  absl::StatusOr<std::shared_ptr<const void>> Read(const WeightFiles& files);

 private:
  enum class Holds { kWeights, kCodes, kScales, kKept, kMask, kShape };
  // kept for good, or only until it was converted
  using Requests = std::vector<WeightFiles::Request>;

  // A tensor's views until it is converted.
  struct Parts {
    TensorView codes, scales;
    LinearWeights map;
    BitmaskMatrix matrix;
  };

  static const char* Expected(Holds holds);
  static bool Fits(Holds holds, DType dtype);
  bool IsCoded(const std::string& name) const;
  int64_t Length(const std::string& name) const;
  void Fail(const std::string& text);
  void Take(Requests* requests, const std::string& name, const std::vector<int64_t>& shape,
            Holds holds, TensorView* view);
  // `name`.weight and `name`.weight_scale.
  void TakeCodes(Requests* requests, const std::string& name, const std::vector<int64_t>& shape,
                 TensorView* codes, TensorView* scales);
  // `convert` makes a [rows, columns] tensor of at most f32 when everything has been read.
  void Convert(int64_t rows, int64_t columns, std::function<absl::Status(TensorPool*)> convert);

  const TensorIndex& index_;
  const int hidden_;
  absl::Status status_;
  Requests stored_;     // tensors that stay as they are
  Requests temporary_;  // dropped when they have been converted
  std::deque<Parts> parts_;
  std::vector<std::function<absl::Status(TensorPool*)>> conversions_;
  uint64_t converted_bytes_ = 0;
  std::set<std::string> taken_;
  int64_t num_parameters_ = 0;
  int64_t weight_bytes_ = 0;
};

}  // namespace tailor
