// SPDX-License-Identifier: Apache-2.0
//
// A reader has the arena's descriptor and tries everything to write with it; and what the supervisor may hand over at all.
#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "plane/edge_fixture.hpp"

namespace hawse::plane {
namespace {

struct SealedArena {
  TestFd fd{create_arena(256, 16)};
  Mapping writer;
  SealedArena() {
    EXPECT_EQ(Mapping::map(fd.get(), 4096, false, &writer), Status::ok);
    EXPECT_EQ(seal_arena(fd.get()), 0);
  }
};

TEST(Arena, cannot_be_mapped_writable_by_a_reader) {
  const SealedArena arena;
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd.get(), 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  Mapping refused;
  EXPECT_EQ(Mapping::map(arena.fd.get(), 4096, false, &refused), Status::system);
}

TEST(Arena, stays_read_only_under_mprotect) {
  const SealedArena arena;
  Mapping reader;
  ASSERT_EQ(Mapping::map(arena.fd.get(), 4096, true, &reader), Status::ok);
  EXPECT_EQ(::mprotect(reader.data(), 4096, PROT_READ | PROT_WRITE), -1);
}

TEST(Arena, cannot_be_written_through_a_reopened_descriptor) {
  const SealedArena arena;
  const int again = ::open(("/proc/self/fd/" + std::to_string(arena.fd.get())).c_str(), O_RDWR);
  if (again >= 0) {  // opening may work, writing must not
    EXPECT_EQ(::pwrite(again, "x", 1, 0), -1);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
    ::close(again);
  }
}

TEST(Arena, refuses_write_truncate_growth_and_punching) {
  const SealedArena arena;
  EXPECT_EQ(::pwrite(arena.fd.get(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(arena.fd.get(), 0), -1);
  EXPECT_EQ(::ftruncate(arena.fd.get(), 1 << 20), -1);
  EXPECT_EQ(::fallocate(arena.fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
  EXPECT_EQ(::fcntl(arena.fd.get(), F_ADD_SEALS, F_SEAL_WRITE), -1);  // nobody seals the writer out
}

TEST(Arena, is_still_written_by_its_writer) {
  const SealedArena arena;
  Mapping reader;
  ASSERT_EQ(Mapping::map(arena.fd.get(), 4096, true, &reader), Status::ok);
  arena.writer.data()[100] = std::byte{42};
  EXPECT_EQ(reader.data()[100], std::byte{42});
}

TEST(Arena, is_refused_by_a_reader_before_it_is_sealed) {
  const TestFd fd(create_arena(256, 16));
  Mapping mapping;
  EXPECT_EQ(Mapping::map(fd.get(), 4096, true, &mapping), Status::not_sealed);
  TestWriter writer(64, 1);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 1, WhenFull::block);
  EXPECT_EQ(reader.link->add_arena(fd.get(), 99, 256, 16), Status::not_sealed);
}

TEST(Arena, that_is_smaller_than_it_claims_is_refused) {
  const SealedArena arena;
  Mapping mapping;
  EXPECT_EQ(Mapping::map(arena.fd.get(), 4097, true, &mapping), Status::limit);
  TestWriter writer;
  const TestFd fd(create_arena(256, 16));
  EXPECT_EQ(writer.port->add_arena(fd.get(), 1, 256, 17), Status::limit);
  EXPECT_EQ(writer.port->add_arena(fd.get(), 1, 100, 1), Status::limit);
}

TEST(Arena, too_large_for_the_machine_is_an_error_at_once) {
  errno = 0;
  EXPECT_EQ(create_arena(kMaxFrameBytes, kMaxSlots), -1);
  EXPECT_TRUE(errno == ENOMEM || errno == ENOSPC) << std::strerror(errno);
  EXPECT_EQ(create_arena(100, 1), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(create_link(0, WhenFull::block), -1);
  EXPECT_EQ(create_link(kMaxQueue + 1, WhenFull::block), -1);
}

TEST(Memory, that_could_shrink_is_never_mapped) {
  const TestFd loose(::memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(loose.get(), 1 << 20), 0);
  Mapping mapping;
  Bell bell;
  EXPECT_EQ(Mapping::map(loose.get(), 4096, false, &mapping), Status::not_sealed);
  EXPECT_EQ(Bell::map(loose.get(), &bell), Status::not_sealed);
  EXPECT_EQ(Mapping::map(STDERR_FILENO, 0, false, &mapping), Status::not_sealed);
}

TEST(Memory, of_a_link_cannot_be_resized_or_sealed_further) {
  for (const int raw : {create_link(4, WhenFull::block), create_doorbell(), create_node_page()}) {
    const TestFd fd(raw);
    EXPECT_EQ(::ftruncate(fd.get(), 0), -1);
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    EXPECT_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
  }
}

}  // namespace
}  // namespace hawse::plane
