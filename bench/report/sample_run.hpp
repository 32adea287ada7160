// SPDX-License-Identifier: Apache-2.0
//
// A Run made up for looking at the reports and testing them: every kind of row that there is, with figures of a plausible size. Nothing here was
// measured, and nothing but tests links it.
#pragma once

#include "bench/core/result.hpp"

namespace hawse::bench {

Run sample_run();

}  // namespace hawse::bench
