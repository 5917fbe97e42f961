// SPDX-License-Identifier: Apache-2.0
#include "engine/model/json_text.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace tailor {
namespace {

using nlohmann::json;

// Builds the value from parser events, so that it can stop at the first thing it does not accept.
class Builder : public json::json_sax_t {
 public:
  explicit Builder(int max_depth) : max_depth_(max_depth) {}

  absl::Status status() const { return status_; }
  json Take() { return std::move(root_); }

  bool null() override { return Add(json(nullptr)); }
  bool boolean(bool value) override { return Add(json(value)); }
  bool number_integer(number_integer_t value) override { return Add(json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return Add(json(value)); }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return Add(json(value));
  }
  bool string(string_t& value) override { return Add(json(std::move(value))); }
  bool binary(binary_t& /*value*/) override { return Fail("expected text, got binary data"); }
  bool start_object(std::size_t /*size*/) override { return Open(json::object()); }
  bool start_array(std::size_t /*size*/) override { return Open(json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& value) override {
    if (open_.back()->contains(value)) {
      return Fail(absl::StrCat("expected distinct keys, got \"",
                               absl::CHexEscape(value.substr(0, 80)), "\" twice"));
    }
    key_ = std::move(value);
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return Fail(absl::StrCat("expected JSON, got something else at byte ", position));
  }

 private:
  bool Fail(const std::string& message) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(message);
    return false;
  }

  json* Place(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    json& slot = parent[key_];
    slot = std::move(value);
    return &slot;
  }

  bool Add(json value) {
    Place(std::move(value));
    return true;
  }

  // The children of open_.back() are appended only while it is the innermost, so that the pointers
  // below it stay valid.
  bool Open(json value) {
    if (open_.size() >= static_cast<size_t>(max_depth_)) {
      return Fail(absl::StrCat("expected at most ", max_depth_, " levels of nesting, got more"));
    }
    open_.push_back(Place(std::move(value)));
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  const int max_depth_;
  json root_;
  std::vector<json*> open_;
  std::string key_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<json> ParseJson(absl::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected at most ", limits.max_bytes, " bytes of JSON, got ", text.size()));
  }
  Builder builder(limits.max_depth);
  if (!json::sax_parse(text.begin(), text.end(), &builder)) {
    if (!builder.status().ok()) return builder.status();
    return absl::InvalidArgumentError("expected JSON, got something else");
  }
  return builder.Take();
}

}  // namespace tailor
