// SPDX-License-Identifier: Apache-2.0
//
// For tests that are linked with --wrap=mmap,--wrap=munmap: the real calls, and those that take their place.
#pragma once

#include <sys/types.h>

#include <cstddef>

extern "C" {
void* __real_mmap(void*, std::size_t, int, int, int, off_t);
int __real_munmap(void*, std::size_t);
void* __wrap_mmap(void*, std::size_t, int, int, int, off_t);
int __wrap_munmap(void*, std::size_t);
}
