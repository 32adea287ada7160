// SPDX-License-Identifier: Apache-2.0
//
// What an inotify descriptor has to say.
#pragma once

#include <sys/inotify.h>
#include <unistd.h>

#include <cstring>

namespace hawse::runtime {

// Calls f(event, name) for each event that waits now; name: of the file in a watched folder, ends with a NUL; only where event.len isn't 0.
template <class F>
void read_inotify(int fd, F&& f) {
  alignas(inotify_event) char buffer[16384];
  const ssize_t size = ::read(fd, buffer, sizeof buffer);
  for (const char* at = buffer; size > 0 && at < buffer + size;) {
    inotify_event event;
    std::memcpy(&event, at, sizeof event);
    const char* const name = at + sizeof event;
    at += sizeof event + event.len;
    f(event, name);
  }
}

}  // namespace hawse::runtime
