// SPDX-License-Identifier: Apache-2.0
//
// Floor of a chain of nodes: as many processes on one core, each of which sleeps on a futex word, is woken by the one before and wakes the next. No payload.
//
// All processes are gone when it returns or throws.
#pragma once

#include <cstddef>
#include <vector>

namespace hawse::bench {

// ns from before the first wake to the moment when the last of `length` processes runs, `count` times, one after another. Throws Unavailable.
std::vector<float> futex_chain(unsigned length, std::size_t count);

}  // namespace hawse::bench
