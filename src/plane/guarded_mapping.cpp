// SPDX-License-Identifier: Apache-2.0
//
// For the hostile peers' tests: every map of shared memory stands between two pages that nobody may touch, so that an access beyond an arena or a
// link ends the test. Linked with --wrap=mmap,--wrap=munmap.
#include "plane/guarded_mapping.hpp"

#include <sys/mman.h>

#include <map>
#include <mutex>

#include "plane/wrapped_mmap.hpp"

namespace {

constexpr std::size_t kPage = 4096;
std::mutex mutex;
std::map<std::byte*, std::size_t> maps;  // size in whole pages

std::size_t in_pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

}  // namespace

namespace hawse::plane {

std::span<const std::byte> guarded_around(const std::byte* inside) {
  const std::lock_guard<std::mutex> lock(mutex);
  auto found = maps.upper_bound(const_cast<std::byte*>(inside));
  if (found == maps.begin()) return {};
  --found;
  const std::span<const std::byte> range(found->first, found->second);
  return inside < range.data() + range.size() ? range : std::span<const std::byte>();
}

}  // namespace hawse::plane

void* __wrap_mmap(void* hint, std::size_t bytes, int protection, int flags, int fd, off_t offset) {
  if (fd < 0) return __real_mmap(hint, bytes, protection, flags, fd, offset);
  const std::size_t size = in_pages(bytes);
  void* whole = __real_mmap(nullptr, size + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (whole == MAP_FAILED) return whole;
  auto* const start = static_cast<std::byte*>(whole) + kPage;
  if (__real_mmap(start, bytes, protection, flags | MAP_FIXED, fd, offset) == MAP_FAILED) {
    __real_munmap(whole, size + 2 * kPage);
    return MAP_FAILED;
  }
  const std::lock_guard<std::mutex> lock(mutex);
  maps[start] = size;
  return start;
}

int __wrap_munmap(void* data, std::size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = maps.find(static_cast<std::byte*>(data));
  if (found == maps.end()) return __real_munmap(data, bytes);
  const std::size_t size = found->second;
  maps.erase(found);
  return __real_munmap(static_cast<std::byte*>(data) - kPage, size + 2 * kPage);
}
