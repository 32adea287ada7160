// SPDX-License-Identifier: Apache-2.0
//
// For the floors: one piece of memory that both ends of a pair have mapped, every page of it there from the start.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/socket.hpp"
#include "bench/peers/peer.h"

namespace hawse::bench {

// The descriptor that the other end sent over the setup's socket.
inline UniqueFd receive_descriptor(const hawse_peer_setup& setup) {
  auto message = receive_message(setup.socket);
  if (!message || message->fds.size() != 1) throw Error(ErrorCode::system, "set a transport up", "the other end is gone");
  return std::move(message->fds.front());
}

// Zeroed; end 0 makes it and passes it on. Unmapped at the end.
class SharedMemory {
 public:
  SharedMemory(const hawse_peer_setup& setup, std::size_t bytes) : bytes_(bytes) {
    UniqueFd fd;
    if (setup.end == 0) {
      fd.reset(::memfd_create("hawse-bench", MFD_CLOEXEC));
      if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0)
        throw Error::from_errno("make shared memory", std::to_string(bytes) + " bytes");
      send_message(setup.socket, "memory", {fd.get()});
    } else {
      fd = receive_descriptor(setup);
    }
    data_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
    if (data_ == MAP_FAILED) throw Error::from_errno("map shared memory", std::to_string(bytes) + " bytes");
  }
  SharedMemory(const SharedMemory&) = delete;
  ~SharedMemory() { ::munmap(data_, bytes_); }

  template <class T>
  T* as(std::size_t offset = 0) const noexcept {
    return reinterpret_cast<T*>(static_cast<std::byte*>(data_) + offset);
  }

 private:
  std::size_t bytes_;
  void* data_ = nullptr;
};

}  // namespace hawse::bench
