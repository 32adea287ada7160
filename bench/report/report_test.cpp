// SPDX-License-Identifier: Apache-2.0
#include "bench/report/report.hpp"
#include <gtest/gtest.h>
