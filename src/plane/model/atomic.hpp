// SPDX-License-Identifier: Apache-2.0
//
// Included before each source of the plane where it is compiled for the model checker: there `std::atomic` means the type below,
// whose operations go to the explorer with the place in the source that they come from. It has the size and the zero of the real
// one, so layouts, mapped memory and the sources stay as they are.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "plane/model/explorer.hpp"

namespace hawse::plane::std {

using namespace ::std;

template <class T>
class atomic {
 public:
  static constexpr bool is_always_lock_free = true;
  constexpr atomic() noexcept = default;
  constexpr atomic(T value) noexcept : value_(value) {}
  atomic(const atomic&) = delete;

  T load(memory_order order, const char* file = __builtin_FILE(), int line = __builtin_LINE()) const noexcept {
    return (T)(model::load(&value_, sizeof(T), order, {file, line}));  // NOLINT: T may be a pointer
  }
  void store(T value, memory_order order, const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    model::store(&value_, sizeof(T), (uint64_t)(value), order, {file, line});  // NOLINT: likewise
  }
  T exchange(T value, memory_order order, const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    return static_cast<T>(model::change(model::Change::exchange, &value_, sizeof(T), static_cast<uint64_t>(value), order, {file, line}));
  }
  T fetch_add(T value, memory_order order, const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    return static_cast<T>(model::change(model::Change::add, &value_, sizeof(T), static_cast<uint64_t>(value), order, {file, line}));
  }
  T fetch_or(T value, memory_order order, const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    return static_cast<T>(model::change(model::Change::set, &value_, sizeof(T), static_cast<uint64_t>(value), order, {file, line}));
  }
  bool compare_exchange_strong(T& expected, T value, memory_order order, const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    const memory_order failed = order == memory_order_acq_rel ? memory_order_acquire : order == memory_order_release ? memory_order_relaxed : order;
    return compare_exchange_strong(expected, value, order, failed, file, line);
  }
  bool compare_exchange_strong(T& expected, T value, memory_order order, memory_order failed, const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) noexcept {
    auto seen = static_cast<uint64_t>(expected);
    const bool done = model::compare_exchange(&value_, sizeof(T), &seen, static_cast<uint64_t>(value), order, failed, {file, line});
    expected = static_cast<T>(seen);
    return done;
  }

 private:
  T value_{};
};

inline void atomic_thread_fence(memory_order order) noexcept { model::fence(order); }

}  // namespace hawse::plane::std
