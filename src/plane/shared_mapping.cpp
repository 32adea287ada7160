// SPDX-License-Identifier: Apache-2.0
//
// For the thread tests: one map of each memfd in the process, whoever asks. ThreadSanitizer knows memory by its address and
// would not see a race between two maps of the same page. Linked with --wrap=mmap,--wrap=munmap.
#include <sys/mman.h>
#include <sys/stat.h>

#include <map>
#include <mutex>
#include <utility>

#include "plane/wrapped_mmap.hpp"

namespace {

struct Shared {
  void* data;
  int users;
};
std::mutex mutex;
std::map<std::pair<dev_t, ino_t>, Shared> maps;

}  // namespace

// A reader gets the writer's map: it was made first, and a sealed arena gives no second writable one.
void* __wrap_mmap(void* hint, std::size_t bytes, int protection, int flags, int fd, off_t offset) {
  struct stat info{};
  if (fd < 0 || ::fstat(fd, &info) != 0) return __real_mmap(hint, bytes, protection, flags, fd, offset);
  const std::lock_guard<std::mutex> lock(mutex);
  Shared& shared = maps[{info.st_dev, info.st_ino}];
  if (shared.users++ == 0) shared.data = __real_mmap(hint, bytes, protection, flags, fd, offset);
  return shared.data;
}

int __wrap_munmap(void* data, std::size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex);
  for (auto entry = maps.begin(); entry != maps.end(); ++entry) {
    if (entry->second.data != data) continue;
    if (--entry->second.users > 0) return 0;
    maps.erase(entry);
    break;
  }
  return __real_munmap(data, bytes);
}
