// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory_watch.hpp"

#include <string>
#include <utility>

#include "runtime/inotify.hpp"

namespace hawse::runtime {

bool MemoryWatch::add(int fd, std::function<void()> gone) {
  if (!fd_) {
    fd_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!fd_) return false;
    watch_ = loop_.on_readable(fd_.get(), [this] { read(); });
  }
  const int number = ::inotify_add_watch(fd_.get(), ("/proc/self/fd/" + std::to_string(fd)).c_str(), IN_DELETE_SELF);
  if (number < 0) return false;
  waiting_[number] = std::move(gone);
  return true;
}

void MemoryWatch::read() {
  read_inotify(fd_.get(), [this](const inotify_event& event, const char*) {
    if (auto found = waiting_.extract(event.wd)) found.mapped()();
  });
}

}  // namespace hawse::runtime
