// SPDX-License-Identifier: Apache-2.0
//
// A node's params: against its signature. What comes out is JSON with paths made absolute and defaults left out.
#pragma once

#include "pipeline/context.hpp"

namespace hawse::pipeline {

// `params` may be null (none given) and must be a mapping else; `at`: where to report a missing one.
json check_params(const Value* params, Position at, const Signature&, const std::string& where, Context&);

}  // namespace hawse::pipeline
