// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace hawse::cli {

SignalWatch::SignalWatch(std::function<void(int count)> on_signal) : stop_(::eventfd(0, EFD_CLOEXEC)) {
  const sigset_t set = signals();
  ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC));
  thread_ = std::jthread([this, on_signal = std::move(on_signal)] { watch(on_signal); });
}

SignalWatch::~SignalWatch() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

sigset_t SignalWatch::signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  return set;
}

void SignalWatch::watch(const std::function<void(int)>& on_signal) {
  int count = 0;
  for (;;) {
    pollfd fds[2] = {{fd_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    signalfd_siginfo info;
    if (fds[0].revents == 0 || ::read(fd_.get(), &info, sizeof info) != sizeof info) continue;
    on_signal(++count);
  }
}

}  // namespace hawse::cli
