// SPDX-License-Identifier: Apache-2.0
//
// What a Run looks like: in a terminal, as Markdown (docs/benchmarks.md), and as one HTML page that needs nothing else.
// All three show the same view (view.hpp), and whatever comes out of a Run is escaped for where it goes.
#pragma once

#include <string>

#include "bench/core/result.hpp"

namespace hawse::bench {

// columns: of the terminal; a table from 100 on, lines below that.
std::string to_text(const Run&, bool colour, unsigned columns);
std::string to_markdown(const Run&);
std::string to_html(const Run&);

}  // namespace hawse::bench
