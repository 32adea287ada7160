// SPDX-License-Identifier: Apache-2.0
//
// What a caller of include/hawse/node.h names, and what it is told when something is wrong: handles, codes and the last error's text.
//
// Handles.    Numbers into a table whose entries are never freed, each with a count of its uses in the number: whatever comes in is compared with
//             what the entry has now, and nothing of the caller's is followed as a pointer.
// Exceptions. guarded() stands around all that can throw.
// Threading.  Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "hawse/node.h"
#include "hawse/node.hpp"
#include "node/port_output.hpp"

namespace hawse::node::c {

constexpr std::size_t kMessageBytes = 2048;
inline thread_local char last_error[kMessageBytes] = "";

inline int failed(int code, const char* text) noexcept {
  std::snprintf(last_error, sizeof last_error, "%s", text);
  return code;
}

class Failure : public std::runtime_error {
 public:
  Failure(int code, const std::string& text) : std::runtime_error(text), code_(code) {}
  int code() const noexcept { return code_; }

 private:
  int code_;
};

template <typename Call>
int guarded(Call&& call) noexcept {
  try {
    return call();
  } catch (const Failure& error) {
    return failed(error.code(), error.what());
  } catch (const Stopped& error) {
    return failed(HAWSE_ERROR_STOPPED, error.what());
  } catch (const AllocationError& error) {
    return failed(HAWSE_ERROR_MEMORY, error.what());
  } catch (const std::bad_alloc&) {
    return failed(HAWSE_ERROR_MEMORY, "the process has no memory left");
  } catch (const std::invalid_argument& error) {
    return failed(HAWSE_ERROR_INVALID, error.what());
  } catch (const std::exception& error) {
    return failed(HAWSE_ERROR_SYSTEM, error.what());
  } catch (...) {
    return failed(HAWSE_ERROR_SYSTEM, "an error without a name");
  }
}

inline void need(bool fine, const char* text) {
  if (!fine) throw Failure(HAWSE_ERROR_INVALID, text);
}

// ---- handles ----------------------------------------------------------------------------------------------------------------

enum class Kind : std::uint64_t { frame = 1, out = 2, node = 3 };
inline constexpr const char* kKinds[] = {"", "a received frame", "a frame to send", "a node"};

class Joined;

struct OpenOut {
  OutFrame frame;
  hawse_node node = 0;
  std::size_t port = 0;
};

struct Entry {
  std::atomic<std::uint64_t> handle{0};  // 0: free
  std::atomic<std::uint32_t> next{0};    // of the free ones
  std::uint64_t uses = 0;
  Frame frame;
  OpenOut out;
  std::shared_ptr<Joined> node;
};

// A handle: kind in the lowest 2 bits, index in the next 22, uses of that index above. Free entries are a stack, its top with a count of its changes, so
// that one which is taken and given back meanwhile is seen to have moved.
class Handles {
 public:
  Entry& open(Kind kind, std::uint64_t* handle) {
    std::uint32_t index = 0;
    while ((index = pop()) == kNone) add_chunk();
    Entry& entry = at(index);
    *handle = ++entry.uses << 24 | std::uint64_t{index} << 2 | static_cast<std::uint64_t>(kind);
    return entry;  // not to be found before publish()
  }

  static void publish(Entry& entry, std::uint64_t handle) noexcept { entry.handle.store(handle, std::memory_order_release); }

  Entry* find(std::uint64_t handle) noexcept {
    const std::uint32_t index = index_of(handle);
    if (handle == 0 || chunks_[index / kChunk].load(std::memory_order_acquire) == nullptr) return nullptr;
    Entry& entry = at(index);
    return entry.handle.load(std::memory_order_acquire) == handle ? &entry : nullptr;
  }

  // The end of a handle: true for the one caller who ends it, who then empties the entry and gives it back.
  static bool end(Entry& entry, std::uint64_t handle) noexcept { return entry.handle.compare_exchange_strong(handle, 0, std::memory_order_acq_rel); }

  void give_back(std::uint64_t handle) noexcept { push(index_of(handle)); }

 private:
  static constexpr std::uint32_t kIndexMask = (1u << 22) - 1, kNone = ~0u;
  static constexpr std::size_t kChunk = 1024;
  using Chunk = std::array<Entry, kChunk>;

  static std::uint32_t index_of(std::uint64_t handle) noexcept { return static_cast<std::uint32_t>(handle >> 2) & kIndexMask; }
  Entry& at(std::uint32_t index) noexcept { return (*chunks_[index / kChunk].load(std::memory_order_acquire))[index % kChunk]; }

  static std::uint64_t changed(std::uint64_t top, std::uint32_t index) noexcept { return ((top >> 32) + 1) << 32 | index; }

  std::uint32_t pop() noexcept {
    std::uint64_t top = top_.load(std::memory_order_acquire);
    for (;;) {
      const auto index = static_cast<std::uint32_t>(top);
      if (index == kNone) return kNone;
      const std::uint32_t next = at(index).next.load(std::memory_order_relaxed);
      if (top_.compare_exchange_weak(top, changed(top, next), std::memory_order_acquire)) return index;
    }
  }

  void push(std::uint32_t index) noexcept {
    std::uint64_t top = top_.load(std::memory_order_relaxed);
    do at(index).next.store(static_cast<std::uint32_t>(top), std::memory_order_relaxed);
    while (!top_.compare_exchange_weak(top, changed(top, index), std::memory_order_release, std::memory_order_relaxed));
  }

  void add_chunk() {
    const std::lock_guard lock(growing_);
    if (count_ == chunks_.size()) throw Failure(HAWSE_ERROR_MEMORY, "more frames are held than there are handles: release them");
    chunks_[count_].store(new Chunk, std::memory_order_release);
    for (std::size_t i = kChunk; i > 0; --i) push(static_cast<std::uint32_t>(count_ * kChunk + i - 1));
    ++count_;
  }

  std::atomic<std::uint64_t> top_{kNone};
  std::array<std::atomic<Chunk*>, (kIndexMask + 1) / kChunk> chunks_{};
  std::mutex growing_;
  std::size_t count_ = 0;
};

// Never destroyed: at the end of a process other threads may still release frames.
inline Handles& handles() {
  static Handles& all = *new Handles;
  return all;
}

inline Kind kind_of(std::uint64_t handle) noexcept { return static_cast<Kind>(handle & 3); }

inline Entry& find(Kind kind, std::uint64_t handle) {
  if (Entry* entry = kind_of(handle) == kind ? handles().find(handle) : nullptr) return *entry;
  const std::string wanted = kKinds[static_cast<std::size_t>(kind)];
  if (handle == 0) throw Failure(HAWSE_ERROR_HANDLE, "0 was given for " + wanted);
  if (kind_of(handle) != kind && handles().find(handle) != nullptr)
    throw Failure(HAWSE_ERROR_HANDLE, std::string(kKinds[handle & 3]) + " was given where " + wanted + " is needed");
  throw Failure(HAWSE_ERROR_HANDLE, wanted + " was named by a handle that is none, or no more (released, sent, discarded, or its node has left)");
}

// What a frame holds, taken out of the table for good.
template <typename Value>
Value take(Kind kind, std::uint64_t handle, Value Entry::*member) {
  Entry& entry = find(kind, handle);
  if (!Handles::end(entry, handle)) throw Failure(HAWSE_ERROR_HANDLE, "a handle was ended by two threads at once");
  Value value = std::exchange(entry.*member, {});
  handles().give_back(handle);
  return value;
}

}  // namespace hawse::node::c
