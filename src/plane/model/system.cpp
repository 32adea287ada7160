// SPDX-License-Identifier: Apache-2.0
//
// The system under the plane while a model runs: memory files, maps, futexes and the clock. Linked with --wrap for each of the calls.
// Memory is kept from execution to execution at the same addresses and zeroed when it is given out.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plane/model/explorer.hpp"

extern "C" {
long __real_syscall(long, ...);
int __real_ftruncate(int, off_t);
int __real_fallocate(int, int, off_t, off_t);
int __real_fcntl(int, int, ...);
off_t __real_lseek(int, off_t, int);
void* __real_mmap(void*, size_t, int, int, int, off_t);
int __real_munmap(void*, size_t);
ssize_t __real_pwrite(int, const void*, size_t, off_t);
int __real_close(int);
int __real_clock_gettime(clockid_t, timespec*);
int __real_nanosleep(const timespec*, timespec*);
long __wrap_syscall(long, ...);
int __wrap_ftruncate(int, off_t);
int __wrap_fallocate(int, int, off_t, off_t);
int __wrap_fcntl(int, int, ...);
off_t __wrap_lseek(int, off_t, int);
void* __wrap_mmap(void*, size_t, int, int, int, off_t);
int __wrap_munmap(void*, size_t);
ssize_t __wrap_pwrite(int, const void*, size_t, off_t);
int __wrap_close(int);
int __wrap_clock_gettime(clockid_t, timespec*);
int __wrap_nanosleep(const timespec*, timespec*);
}

namespace {

constexpr int kFirstFd = 100000;
constexpr int kMostFiles = 32, kMostBlocks = 256;
constexpr size_t kWorthUnmapping = 32768;  // a few touched pages cost less to give back than all to zero

struct File {
  void* data;
  size_t bytes, room;
  int seals;
};
struct Block {
  void* data;
  size_t bytes;
  bool used;
};
File files[kMostFiles];
int file_count = 0;
Block blocks[kMostBlocks];
int block_count = 0;
long long clock_ns = 0;

File* file_at(int fd) { return fd >= kFirstFd && fd < kFirstFd + file_count ? &files[fd - kFirstFd] : nullptr; }

int make_file() {
  if (file_count == kMostFiles) abort();
  File& file = files[file_count];
  file.bytes = 0;
  file.seals = 0;
  return kFirstFd + file_count++;
}

int size_file(File& file, size_t bytes) {
  if (bytes > file.room) {
    free(file.data);
    file.room = (bytes + 4095) / 4096 * 4096;
    file.data = aligned_alloc(4096, file.room);
    if (file.data == nullptr) abort();
  }
  file.bytes = bytes;
  memset(file.data, 0, bytes);
  return 0;
}

void* take_block(size_t bytes) {
  for (int i = 0; i < block_count; ++i) {
    if (blocks[i].used || blocks[i].bytes != bytes) continue;
    blocks[i].used = true;
    if (bytes >= kWorthUnmapping)
      ::madvise(blocks[i].data, bytes, MADV_DONTNEED);
    else
      memset(blocks[i].data, 0, bytes);
    return blocks[i].data;
  }
  if (block_count == kMostBlocks) abort();
  void* data = __real_mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) abort();
  blocks[block_count++] = {data, bytes, true};
  return data;
}

constexpr long kFutexWaitv = 449;
struct ManyWord {
  uint64_t value, address;
  uint32_t flags, reserved;
};

long answer(bool good, int error) {
  if (!good) errno = error;
  return good ? 0 : -1;
}

long wait_on_many(const ManyWord* words, size_t count) {
  hawse::model::FutexWord slept[8];
  if (count == 0) return answer(false, EINVAL);
  if (count > 8) abort();
  for (size_t i = 0; i < count; ++i) slept[i] = {reinterpret_cast<const void*>(words[i].address), static_cast<uint32_t>(words[i].value)};  // NOLINT: as above
  return answer(hawse::model::futex_wait(slept, count), EAGAIN);
}

}  // namespace

void hawse::model::reset_system() noexcept {
  file_count = 0;
  clock_ns = 0;
  for (int i = 0; i < block_count; ++i) blocks[i].used = false;
}

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long argument[6];
  for (long& value : argument) value = va_arg(list, long);
  va_end(list);
  if (!hawse::model::is_running()) return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
  if (number == SYS_memfd_create) return make_file();
  if (number == kFutexWaitv) return wait_on_many(reinterpret_cast<const ManyWord*>(argument[0]), static_cast<size_t>(argument[1]));  // NOLINT: a system call's argument
  if (number != SYS_futex) abort();
  const void* word = reinterpret_cast<const void*>(argument[0]);  // NOLINT: a system call's argument
  if (static_cast<int>(argument[1]) == FUTEX_WAKE) return hawse::model::futex_wake(word), 0;
  const hawse::model::FutexWord one{word, static_cast<uint32_t>(argument[2])};
  return answer(hawse::model::futex_wait(&one, 1), EAGAIN);
}

int __wrap_nanosleep(const timespec* time, timespec* left) {
  if (!hawse::model::is_running()) return __real_nanosleep(time, left);
  hawse::model::pause();
  return 0;
}

int __wrap_ftruncate(int fd, off_t size) {
  File* const file = file_at(fd);
  return file == nullptr ? __real_ftruncate(fd, size) : size_file(*file, static_cast<size_t>(size));
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t size) { return file_at(fd) == nullptr ? __real_fallocate(fd, mode, offset, size) : 0; }

int __wrap_fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  const long argument = va_arg(list, long);
  va_end(list);
  File* const file = file_at(fd);
  if (file == nullptr) return __real_fcntl(fd, command, argument);
  if (command == F_GET_SEALS) return file->seals;
  if (command != F_ADD_SEALS) abort();
  file->seals |= static_cast<int>(argument);
  return 0;
}

off_t __wrap_lseek(int fd, off_t offset, int whence) {
  File* const file = file_at(fd);
  return file == nullptr ? __real_lseek(fd, offset, whence) : static_cast<off_t>(file->bytes);
}

void* __wrap_mmap(void* hint, size_t bytes, int protection, int flags, int fd, off_t offset) {
  if (!hawse::model::is_running()) return __real_mmap(hint, bytes, protection, flags, fd, offset);
  if (fd < 0) return take_block(bytes);
  File* const file = file_at(fd);
  return file == nullptr ? __real_mmap(hint, bytes, protection, flags, fd, offset) : file->data;
}

int __wrap_munmap(void* data, size_t bytes) {
  for (int i = 0; i < file_count; ++i)
    if (files[i].data == data) return 0;
  for (int i = 0; i < block_count; ++i)
    if (blocks[i].data == data) return blocks[i].used = false, 0;
  return __real_munmap(data, bytes);
}

ssize_t __wrap_pwrite(int fd, const void* data, size_t bytes, off_t offset) {
  File* const file = file_at(fd);
  if (file == nullptr) return __real_pwrite(fd, data, bytes, offset);
  memcpy(static_cast<char*>(file->data) + offset, data, bytes);
  return static_cast<ssize_t>(bytes);
}

int __wrap_close(int fd) { return file_at(fd) == nullptr ? __real_close(fd) : 0; }

int __wrap_clock_gettime(clockid_t id, timespec* out) {
  if (!hawse::model::is_running()) return __real_clock_gettime(id, out);
  clock_ns += 1000;
  *out = {static_cast<time_t>(clock_ns / 1'000'000'000), static_cast<long>(clock_ns % 1'000'000'000)};
  return 0;
}
