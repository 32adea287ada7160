// SPDX-License-Identifier: Apache-2.0
//
// Shared memory: made by the supervisor, checked and mapped by the nodes. A descriptor is all that names it.
//
// memfd_create() is called by number, and the size asked by lseek(), because glibc 2.17 has neither memfd_create() nor the
// fstat() that a newer one would bind to.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plane/internal.hpp"

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 0x0001
#define F_SEAL_SHRINK 0x0002
#define F_SEAL_GROW 0x0004
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace hawse::plane {
namespace {

constexpr int kFixedSize = F_SEAL_SHRINK | F_SEAL_GROW;

int close_keeping_errno(int fd) noexcept {
  const int number = errno;
  ::close(fd);
  errno = number;
  return -1;
}

// Below this nobody is asked first.
constexpr std::uint64_t kSmallBytes = 4 << 20;

// Bytes that the machine can give without pushing something out; without an answer, all. Asked because a machine without swap
// does not refuse pages to fallocate(): it ends a process to find them.
std::uint64_t available_bytes() noexcept {
  char text[512] = {};  // the third line, "MemAvailable:  123 kB"
  const int fd = ::open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ~std::uint64_t{0};
  const ssize_t size = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  const char* at = size > 0 ? ::strstr(text, "MemAvailable:") : nullptr;
  if (at == nullptr) return ~std::uint64_t{0};
  std::uint64_t kilobytes = 0;
  for (at += 13; *at == ' '; ++at) {
  }
  for (; *at >= '0' && *at <= '9'; ++at) kilobytes = kilobytes * 10 + static_cast<std::uint64_t>(*at - '0');
  return kilobytes * 1024;
}

int create_sealed(const char* name, std::uint64_t bytes, int seals) noexcept {
  if (bytes > kSmallBytes && bytes > available_bytes()) {
    errno = ENOMEM;
    return -1;
  }
  const int fd = static_cast<int>(::syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0) return -1;
  const auto size = static_cast<off_t>(bytes);
  if (::ftruncate(fd, size) != 0) return close_keeping_errno(fd);
  while (::fallocate(fd, 0, 0, size) != 0)
    if (errno != EINTR) return close_keeping_errno(fd);
  if (::fcntl(fd, F_ADD_SEALS, seals) != 0) return close_keeping_errno(fd);
  return fd;
}

}  // namespace

int create_arena(std::uint64_t slot_bytes, std::uint32_t slot_count) noexcept {
  if (!arena_shape_is_valid(0, slot_bytes, slot_count)) {
    errno = EINVAL;
    return -1;
  }
  return create_sealed("hawse-arena", slot_bytes * slot_count, kFixedSize);
}

int create_link(std::uint32_t queue, WhenFull when_full, std::uint32_t backlog) noexcept {
  if (queue < 1 || queue > kMaxQueue || backlog > kMaxSlots) {
    errno = EINVAL;
    return -1;
  }
  const std::uint32_t ring_slots = ring_slots_for(queue, backlog);
  const int fd = create_sealed("hawse-link", link_bytes(ring_slots), kFixedSize | F_SEAL_SEAL);
  if (fd < 0) return -1;
  const struct {  // as LinkHeader begins
    std::uint32_t magic;
    std::uint16_t version, reserved;
    std::uint32_t queue, ring_slots, shared_read;
  } begin{kLinkMagic, kVersion, 0, queue, ring_slots, when_full == WhenFull::drop_oldest || when_full == WhenFull::latest ? 1u : 0u};
  static_assert(offsetof(LinkHeader, queue) == 8 && offsetof(LinkHeader, shared_read) == 16 && sizeof begin == 20);
  return ::pwrite(fd, &begin, sizeof begin, 0) == sizeof begin ? fd : close_keeping_errno(fd);
}

int create_doorbell() noexcept { return create_sealed("hawse-doorbell", 4096, kFixedSize | F_SEAL_SEAL); }

int create_node_page() noexcept {
  const int fd = create_sealed("hawse-node", kNodePageBytes, kFixedSize | F_SEAL_SEAL);
  if (fd < 0) return -1;
  Mapping mapping;
  if (Mapping::map(fd, kNodePageBytes, false, &mapping) != Status::ok) return close_keeping_errno(fd);
  auto* page = reinterpret_cast<NodePage*>(mapping.data());
  page->magic = kPageMagic;
  page->version = kVersion;
  return fd;
}

int seal_arena(int fd) noexcept { return ::fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL); }

Mapping::Mapping(Mapping&& other) noexcept : data_(other.data_), size_(other.size_) {
  other.data_ = nullptr;
  other.size_ = 0;
}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::byte* const data = data_;
  const std::size_t size = size_;
  data_ = other.data_;
  size_ = other.size_;
  other.data_ = data;
  other.size_ = size;
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Status Mapping::map(int fd, std::size_t bytes_at_least, bool read_only, Mapping* out) noexcept {
  const int needed = kFixedSize | (read_only ? F_SEAL_FUTURE_WRITE : 0);
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & needed) != needed) return Status::not_sealed;
  const off_t size = ::lseek(fd, 0, SEEK_END);
  if (size < 0) return Status::system;
  if (static_cast<std::size_t>(size) < bytes_at_least) return Status::limit;
  void* data = ::mmap(nullptr, static_cast<std::size_t>(size), read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return Status::system;
  Mapping mapping;
  mapping.data_ = static_cast<std::byte*>(data);
  mapping.size_ = static_cast<std::size_t>(size);
  *out = static_cast<Mapping&&>(mapping);
  return Status::ok;
}

Status open_link(int fd, Mapping* mapping, LinkMemory* out) noexcept {
  Mapping opened;
  if (const Status status = Mapping::map(fd, link_bytes(2), false, &opened); status != Status::ok) return status;
  std::byte* const data = opened.data();
  auto* header = reinterpret_cast<LinkHeader*>(data);
  const std::uint32_t magic = header->magic, queue = header->queue, ring_slots = header->ring_slots, shared_read = header->shared_read;
  const std::uint16_t version = header->version;
  copied_once();
  if (magic != kLinkMagic || version != kVersion || !ring_is_valid(queue, ring_slots) || shared_read > 1 || opened.size() < link_bytes(ring_slots))
    return Status::corrupt;
  *out = {.header = header,
          .writer = reinterpret_cast<WriterStats*>(data + kWriterStatsOffset),
          .reader = reinterpret_cast<ReaderStats*>(data + kReaderStatsOffset),
          .descriptors = reinterpret_cast<Descriptor*>(data + kDescriptorOffset),
          .leases = reinterpret_cast<Lease*>(data + lease_offset(ring_slots)),
          .queue = queue,
          .ring_mask = ring_slots - 1,
          .shared_read = shared_read == 1};
  *mapping = static_cast<Mapping&&>(opened);
  return Status::ok;
}

Status Bell::map(int fd, Bell* out) noexcept { return Mapping::map(fd, sizeof(Doorbell), false, &out->mapping_); }

std::uint32_t Bell::value() const noexcept {
  return word().load(std::memory_order_relaxed);  // [doorbell.rings]
}

void Bell::ring() noexcept {
  word().fetch_add(1, std::memory_order_relaxed);  // [doorbell.rings] whoever rings has fenced
  wake(word());
}

std::atomic<std::uint32_t>& Bell::word() const noexcept { return reinterpret_cast<Doorbell*>(mapping_.data())->rings; }

void wake(const std::atomic<std::uint32_t>& word) noexcept { ::syscall(SYS_futex, &word, FUTEX_WAKE, 0x7fffffff, nullptr, nullptr, 0); }

}  // namespace hawse::plane
