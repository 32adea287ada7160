// SPDX-License-Identifier: Apache-2.0
//
// Parameters of a node: what the manifest said, with the signature's defaults filled in.
#pragma once

#include <nlohmann/json.hpp>

#include "hawse/node.hpp"

namespace hawse {

struct Params::Data {
  nlohmann::json values;  // an object
  std::string where;      // "" or "audio." : the way to it, for messages
};

namespace node {

// `declared`: the "params" of a signature. A nested mapping gets the defaults of its "fields" when it is given.
Params make_params(nlohmann::json given, const nlohmann::json& declared);
std::shared_ptr<const Params::Data> make_param_data(nlohmann::json given, const nlohmann::json& declared);

}  // namespace node
}  // namespace hawse
