// SPDX-License-Identifier: Apache-2.0
//
// The files in assets/ and vendor/ that the HTML page is made of, part of the program (assets.cpp.in).
#pragma once

#include <string_view>

namespace hawse::bench::assets {

std::string_view page_html();
std::string_view page_css();
std::string_view page_js();
std::string_view d3_js();
std::string_view plot_js();
std::string_view d3_licence();
std::string_view plot_licence();
std::string_view bundled_licences();

}  // namespace hawse::bench::assets
