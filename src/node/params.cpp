// SPDX-License-Identifier: Apache-2.0
//
// Typed access to a node's parameters. A wrong type is the node's failure, told with the parameter's name.
#include "node/params.hpp"

#include <cmath>
#include <optional>
#include <utility>

#include "base/text.hpp"

namespace hawse {
namespace {

using Json = nlohmann::json;

const Json& find(const Params::Data& data, std::string_view name) {
  static const Json kNull;
  const auto found = data.values.find(std::string(name));
  return found == data.values.end() ? kNull : *found;
}

[[noreturn]] void wrong(const Params::Data& data, std::string_view name, const char* expected) {
  const Json& value = find(data, name);
  const std::string full = "parameter " + data.where + std::string(name);
  if (value.is_null()) throw std::invalid_argument(full + " is missing: give " + expected);
  throw std::invalid_argument(full + " is " + value.dump(-1, ' ', false, Json::error_handler_t::replace) + ": give " + expected);
}

std::optional<std::int64_t> whole_number(const Json& value) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) return std::nullopt;
  if (value.is_number_integer()) return value.get<std::int64_t>();
  return std::nullopt;
}

}  // namespace

Params::Params(std::shared_ptr<const Data> data) noexcept : data_(std::move(data)) {}

bool Params::has(std::string_view name) const { return !find(*data_, name).is_null(); }

bool Params::boolean(std::string_view name) const {
  const Json& value = find(*data_, name);
  if (!value.is_boolean()) wrong(*data_, name, "true or false");
  return value.get<bool>();
}

std::int64_t Params::integer(std::string_view name) const {
  const auto value = whole_number(find(*data_, name));
  if (!value) wrong(*data_, name, "a whole number");
  return *value;
}

double Params::number(std::string_view name) const {
  const Json& value = find(*data_, name);
  if (!value.is_number()) wrong(*data_, name, "a number");
  return value.get<double>();
}

std::string Params::text(std::string_view name) const {
  const Json& value = find(*data_, name);
  if (!value.is_string()) wrong(*data_, name, "text");
  return value.get<std::string>();
}

std::uint64_t Params::bytes(std::string_view name) const {
  const Json& value = find(*data_, name);
  if (const auto number = whole_number(value); number && *number >= 0) return static_cast<std::uint64_t>(*number);
  if (value.is_string())
    if (const auto size = parse_bytes(value.get<std::string>())) return *size;
  wrong(*data_, name, "a size such as 4 MiB");
}

std::int64_t Params::duration_ns(std::string_view name) const {
  const Json& value = find(*data_, name);
  if (value.is_number() && std::abs(value.get<double>()) < 9e9) return std::llround(value.get<double>() * 1e9);
  if (value.is_string())
    if (const auto duration = parse_duration_ns(value.get<std::string>())) return *duration;
  wrong(*data_, name, "a duration such as 20ms");
}

std::vector<std::int64_t> Params::integers(std::string_view name) const {
  const Json& value = find(*data_, name);
  std::vector<std::int64_t> numbers;
  if (!value.is_array()) wrong(*data_, name, "a list of whole numbers");
  for (const Json& entry : value) {
    const auto number = whole_number(entry);
    if (!number) wrong(*data_, name, "a list of whole numbers");
    numbers.push_back(*number);
  }
  return numbers;
}

Params Params::child(std::string_view name) const {
  const Json& value = find(*data_, name);
  if (!value.is_null() && !value.is_object()) wrong(*data_, name, "a mapping");
  return Params(std::make_shared<const Data>(Data{value.is_null() ? Json::object() : value, data_->where + std::string(name) + "."}));
}

std::string Params::json(std::string_view name) const { return find(*data_, name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

namespace node {
namespace {

void fill_in(Json& values, const Json& declared) {
  for (const auto& [name, about] : declared.items()) {
    if (!values.contains(name) && about.contains("default")) values[name] = about["default"];
    if (about.contains("fields") && values.contains(name) && values[name].is_object()) fill_in(values[name], about["fields"]);
  }
}

}  // namespace

std::shared_ptr<const Params::Data> make_param_data(Json given, const Json& declared) {
  if (!given.is_object()) given = Json::object();
  if (declared.is_object()) fill_in(given, declared);
  return std::make_shared<const Params::Data>(Params::Data{std::move(given), ""});
}

Params make_params(Json given, const Json& declared) { return Params(make_param_data(std::move(given), declared)); }

}  // namespace node
}  // namespace hawse
