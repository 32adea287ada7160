// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C, SIGTERM and SIGHUP as calls, for as long as a SignalWatch lives. They come in its own thread; none is lost, and none ends the process.
#pragma once

#include <signal.h>

#include <functional>
#include <thread>

#include "base/fd.hpp"

namespace hawse::cli {

class SignalWatch {
 public:
  // `on_signal` gets how many there have been. Threads that exist already must have blocked signals() themselves.
  explicit SignalWatch(std::function<void(int count)> on_signal);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  static sigset_t signals();

 private:
  void watch(const std::function<void(int)>& on_signal);

  sigset_t before_;
  UniqueFd stop_, fd_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace hawse::cli
