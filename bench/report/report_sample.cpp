// SPDX-License-Identifier: Apache-2.0
//
// Prints the sample run as it would be reported: `report_sample [html|markdown|text COLUMNS]`. For tests, and for whoever works on how reports look.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench/report/report.hpp"
#include "bench/report/sample_run.hpp"

int main(int argc, char** argv) {
  using namespace hawse::bench;
  const std::string form = argc > 1 ? argv[1] : "html";
  const unsigned columns = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 120;
  const std::string report = form == "text"       ? to_text(sample_run(), true, columns)
                             : form == "markdown" ? to_markdown(sample_run())
                                                  : to_html(sample_run());
  return std::fwrite(report.data(), 1, report.size(), stdout) == report.size() ? 0 : 1;
}
