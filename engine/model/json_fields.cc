// SPDX-License-Identifier: Apache-2.0
#include "engine/model/json_fields.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "base/nearest_name.h"

namespace tailor {

using nlohmann::json;

std::string ShortJson(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return absl::StrCat("an array of ", value.size());
  // ASCII output: control characters and everything exotic come out escaped.
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

JsonFields::JsonFields(const json& object, std::string where, absl::Status* problem)
    : object_(object), where_(std::move(where)), problem_(problem) {
  if (!object_.is_object() && problem_->ok()) {
    *problem_ = absl::InvalidArgumentError(
        absl::StrCat(where_, ": expected an object, got ", ShortJson(object_)));
  }
}

std::string JsonFields::Where(absl::string_view key) const {
  return absl::StrCat(where_, where_.ends_with(".json") ? ": " : ".", key);
}

const json* JsonFields::Find(absl::string_view key) const {
  if (!object_.is_object()) return nullptr;
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

void JsonFields::FailExpected(absl::string_view key, absl::string_view expected) const {
  if (!problem_->ok()) return;
  const json* value = Find(key);
  *problem_ =
      absl::InvalidArgumentError(absl::StrCat(Where(key), ": expected ", expected, ", got ",
                                              value == nullptr ? "nothing" : ShortJson(*value)));
}

void JsonFields::Require(absl::string_view key) const {
  if (!Has(key)) FailExpected(key, "a value");
}

void JsonFields::RefuseUnknown(std::span<const std::string> known) const {
  if (!object_.is_object() || !problem_->ok()) return;
  for (const auto& [key, value] : object_.items()) {
    bool found = false;
    for (const std::string& name : known) found = found || name == key;
    if (found) continue;
    const std::string nearest = NearestName(key, known);
    *problem_ = absl::InvalidArgumentError(
        absl::StrCat(where_, ": expected a known key, got ", ShortJson(json(key)),
                     nearest.empty() ? "" : absl::StrCat(" (nearest: \"", nearest, "\")")));
    return;
  }
}

std::optional<int> JsonFields::Int(absl::string_view key, int low, int high) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_integer()) {
    const bool fits =
        !value->is_number_unsigned() || value->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
    const int64_t number = fits ? value->get<int64_t>() : INT64_MAX;
    if (number >= low && number <= high) return static_cast<int>(number);
  }
  FailExpected(key, absl::StrCat("an integer in [", low, ", ", high, "]"));
  return std::nullopt;
}

std::optional<double> JsonFields::Number(absl::string_view key, double low, double high) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) {
    const double number = value->get<double>();
    if (std::isfinite(number) && number >= low && number <= high) return number;
  }
  FailExpected(key, absl::StrCat("a number in [", low, ", ", high, "]"));
  return std::nullopt;
}

std::optional<bool> JsonFields::Bool(absl::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  FailExpected(key, "true or false");
  return std::nullopt;
}

std::optional<std::string> JsonFields::String(absl::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  FailExpected(key, "a string");
  return std::nullopt;
}

const json* JsonFields::Object(absl::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr || value->is_object()) return value;
  FailExpected(key, "an object");
  return nullptr;
}

const json* JsonFields::Array(absl::string_view key, size_t max_size) const {
  const json* value = Find(key);
  if (value == nullptr) return nullptr;
  if (value->is_array() && value->size() <= max_size) return value;
  FailExpected(key, absl::StrCat("an array of at most ", max_size));
  return nullptr;
}

}  // namespace tailor
