// SPDX-License-Identifier: Apache-2.0
//
// What each stock node's file gives to the catalogue.
#pragma once

#include "catalogue.hpp"

namespace hawse::nodes {

StockEntry json_lines();
StockEntry media_sink();
StockEntry media_source();
StockEntry test_sink();
StockEntry test_source();
StockEntry text_print();
StockEntry text_srt();
StockEntry timer();

}  // namespace hawse::nodes
