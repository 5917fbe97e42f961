// SPDX-License-Identifier: Apache-2.0
// Typed, checked access to the fields of one JSON object.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace tailor {

// The first problem goes to *problem and stays there; every accessor then still returns something
// harmless, so that a parser reads all fields and checks once at its end. A null field counts as
// absent. Keeps a reference to the object: not for temporaries.
class JsonFields {
 public:
  // `where` is what error messages start with: "variant.json" or "variant.json: layers[2]".
  JsonFields(const nlohmann::json& object, std::string where, absl::Status* problem);

  bool Has(absl::string_view key) const { return Find(key) != nullptr; }
  void Require(absl::string_view key) const;
  void RefuseUnknown(std::span<const std::string> known) const;

  // Nothing when absent or wrong.
  std::optional<int> Int(absl::string_view key, int low, int high) const;
  std::optional<double> Number(absl::string_view key, double low, double high) const;
  std::optional<bool> Bool(absl::string_view key) const;
  std::optional<std::string> String(absl::string_view key) const;

  template <typename T>
  std::optional<T> OneOf(absl::string_view key,
                         std::initializer_list<std::pair<const char*, T>> choices) const {
    const std::optional<std::string> text = String(key);
    if (!text) return std::nullopt;
    std::string expected;
    for (const auto& [name, value] : choices) {
      if (*text == name) return value;
      expected += (expected.empty() ? "\"" : ", \"") + std::string(name) + "\"";
    }
    FailExpected(key, choices.size() == 1 ? expected : "one of " + expected);
    return std::nullopt;
  }

  // Null when absent or wrong.
  const nlohmann::json* Object(absl::string_view key) const;
  const nlohmann::json* Array(absl::string_view key, size_t max_size) const;

  // Reports "WHERE: KEY: expected EXPECTED, got VALUE".
  void FailExpected(absl::string_view key, absl::string_view expected) const;

  const nlohmann::json& object() const { return object_; }
  std::string Where(absl::string_view key) const;
  absl::Status* problem() const { return problem_; }

 private:
  const nlohmann::json* Find(absl::string_view key) const;

  const nlohmann::json& object_;
  const std::string where_;
  absl::Status* const problem_;
};

// A value as an error message shows it: one line, at most 60 characters.
std::string ShortJson(const nlohmann::json& value);

}  // namespace tailor
