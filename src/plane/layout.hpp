// SPDX-License-Identifier: Apache-2.0
//
// The shared layout: every byte that two processes of a session share is described here and nowhere else.
//
// Four kinds of memory, each a memfd, handed over by descriptor and never by name:
//
//   arena      one per (output port, growth step). Written by the port's node, read by its readers.
//              +--------+---------+--------+---------+----
//              | header | payload | header | payload | ...      slot_count slots of slot_bytes each
//              +--------+---------+--------+---------+----
//              Sealed SHRINK|GROW at birth by the supervisor; FUTURE_WRITE once the writer has mapped it, and only
//              then handed to readers. A reader maps it read-only.
//   link       one per edge. Shared by exactly one writer and one reader (and the supervisor, which shows its counts):
//              +------------+-------------+-------------+------------------------+---------------------+
//              | LinkHeader | WriterStats | ReaderStats | Descriptor[queue_slots]| Returned[kMaxSlots] |
//              +------------+-------------+-------------+------------------------+---------------------+
//   doorbell   one futex word a node, mapped by the node and its direct peers.
//   node page  a node's progress and processing times, shared by the node and the supervisor only.
//
// Life of a slot, and who moves it on:
//
//   free --writer: allocate--> building --writer: send--> sent (one reference a link, counted in the WRITER'S OWN memory)
//     ^                                                     | reader: advances `read` past its descriptor -> leased
//     |                                                     | writer (dropping policies only): advances `read` -> dropped
//     +--writer: last reference gone <-- reader: puts the slot in the return ring
//
// Trust. Everything in a link may be overwritten by the peer at any time. Each side therefore keeps its own copy of what
// it needs (the writer: which slots this link holds; its own descriptors; both: their own cursor), copies what the peer
// wrote once, checks the copy, and uses only the copy. A peer that breaks the rules breaks its own link and nothing else.
//
// Cursors are 64-bit and never wrap. `written - read` is the number of unread frames.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hawse::plane {

inline constexpr std::uint32_t kFrameMagic = 0x46535748;  // "HWSF"
inline constexpr std::uint32_t kLinkMagic = 0x4c535748;   // "HWSL"
inline constexpr std::uint32_t kPageMagic = 0x50535748;   // "HWSP"
inline constexpr std::uint16_t kVersion = 1;

inline constexpr std::size_t kCacheLine = 64;  // fixed: a shared layout must not follow the compiler's opinion
inline constexpr std::uint32_t kMaxRank = 8;
inline constexpr std::uint32_t kMaxArenas = 32;      // growth steps a port may take
inline constexpr std::uint32_t kMaxSlots = 16384;    // slots a port may have over all its arenas: bounds the return ring
inline constexpr std::uint32_t kMaxQueue = 8192;     // unread frames on an edge
inline constexpr std::uint64_t kMaxFrameBytes = 1ull << 32;

enum class FrameType : std::uint8_t { none = 0, audio = 1, video = 2, image = 3, tensor = 4, text = 5, json = 6, bytes = 7, control = 8 };
enum class Dtype : std::uint8_t {
  none = 0, boolean = 1, int8 = 2, uint8 = 3, int16 = 4, uint16 = 5, int32 = 6, uint32 = 7, int64 = 8, uint64 = 9,
  float16 = 10, float32 = 11, float64 = 12, bfloat16 = 13, complex64 = 14, complex128 = 15,
};
enum class PixelFormat : std::uint16_t { none = 0, rgb24 = 1, bgr24 = 2, rgba = 3, bgra = 4, gray8 = 5, yuv420p = 6 };

// Bits of FrameHeader::flags and Descriptor::flags.
inline constexpr std::uint32_t kFlagGivenAgain = 1u << 0;  // this reader's predecessor died with the frame unreturned
inline constexpr std::uint32_t kFlagEndOfStreamControl = 1u << 1;

// 192 bytes, then the payload. Written by the port's node before send, constant afterwards.
struct FrameHeader {
  std::uint32_t magic;
  std::uint16_t version;
  FrameType type;
  Dtype dtype;
  std::uint8_t rank;  // entries of shape in use
  std::uint8_t reserved0;
  PixelFormat format;         // video and image
  std::uint32_t flags;
  std::uint64_t sequence;     // of the output port, from 1, no gaps
  std::int64_t timestamp_ns;  // capture time of the first sample; media time for media, CLOCK_REALTIME otherwise
  std::int64_t duration_ns;   // 0 where it has none
  std::int64_t sent_ns;       // CLOCK_MONOTONIC
  std::uint64_t trace_id;     // taken over from the frame that caused this one; 0 = none
  std::uint64_t payload_bytes;
  std::uint32_t rate_numerator;    // audio: samples a second; video: frames a second
  std::uint32_t rate_denominator;  // audio: 1
  std::uint64_t reserved1[7];
  std::uint64_t shape[kMaxRank];  // audio: samples, channels. video, image: height, width, channels. tensor: its own
};
static_assert(sizeof(FrameHeader) == 192 && alignof(FrameHeader) == 8);
static_assert(offsetof(FrameHeader, sequence) == 16 && offsetof(FrameHeader, payload_bytes) == 56 && offsetof(FrameHeader, shape) == 128);
inline constexpr std::size_t kHeaderBytes = sizeof(FrameHeader);  // the payload starts here: a multiple of the cache line

// A frame on its way. Words are read and written with relaxed atomics: a dropping writer may overwrite one that the
// reader is just copying, and the reader then finds `read` moved and throws the copy away.
struct Descriptor {
  std::atomic<std::uint64_t> place;     // arena id << 32 | slot in that arena
  std::atomic<std::uint64_t> sequence;
  std::atomic<std::uint64_t> payload_bytes;
  std::atomic<std::uint64_t> sent_ns;
  std::atomic<std::uint64_t> flags;
  std::uint64_t reserved[3];
};
static_assert(sizeof(Descriptor) == 64);

struct Returned {
  std::atomic<std::uint64_t> place;
};

enum class LinkState : std::uint32_t { open = 0, ended = 1, failed = 2 };

struct LinkHeader {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t reserved0;
  std::uint32_t queue;         // most unread frames
  std::uint32_t queue_slots;   // entries of the descriptor ring: the power of two at or above queue
  std::uint32_t shared_read;   // 1: a dropping policy, `read` is moved by compare-and-swap from both sides
  std::uint8_t reserved1[44];

  alignas(kCacheLine) std::atomic<std::uint64_t> written;   // [link.written] writer releases, reader acquires
  alignas(kCacheLine) std::atomic<std::uint64_t> read;      // [link.read] reader (or dropping writer) releases, writer acquires
  alignas(kCacheLine) std::atomic<std::uint64_t> returned;  // [link.returned] reader releases, writer acquires
  alignas(kCacheLine) std::atomic<std::uint64_t> reclaimed; // [link.reclaimed] writer releases, reader acquires
  // A side sets its flag, fences, looks once more, then sleeps on its node's doorbell. The other side fences after
  // publishing and rings only if the flag is set: no system call while both are busy.
  alignas(kCacheLine) std::atomic<std::uint32_t> reader_sleeps;
  alignas(kCacheLine) std::atomic<std::uint32_t> writer_sleeps;
  // Set by the writer's side (its node, or the supervisor for a node that ended): no frame comes after `written`.
  alignas(kCacheLine) std::atomic<std::uint32_t> writer_state;  // LinkState
  // Set by the reader's side (or the supervisor): the writer forgets this link and takes its slots back.
  alignas(kCacheLine) std::atomic<std::uint32_t> reader_state;  // LinkState
};
static_assert(sizeof(LinkHeader) == 9 * kCacheLine);

// Log-linear histogram of nanoseconds: 16 buckets an octave, so a bucket is at most 6.25 % wide. One writer.
inline constexpr std::uint32_t kHistogramBuckets = 61 * 16;
struct Histogram {
  std::atomic<std::uint64_t> count;
  std::atomic<std::uint64_t> sum_ns;
  std::atomic<std::uint64_t> max_ns;
  std::uint64_t reserved[5];
  std::atomic<std::uint64_t> buckets[kHistogramBuckets];
};

struct WriterStats {  // by the writer
  std::atomic<std::uint64_t> frames, bytes, dropped, copies, given_again, blocked_ns, last_sequence;
  std::uint64_t reserved[1];
};
static_assert(sizeof(WriterStats) == kCacheLine);

struct ReaderStats {  // by the reader
  std::atomic<std::uint64_t> frames, bytes, rejected, leased;
  std::uint64_t reserved[4];
  Histogram latency;  // sent_ns to receipt
};

inline constexpr std::size_t kWriterStatsOffset = 1024;
inline constexpr std::size_t kReaderStatsOffset = kWriterStatsOffset + sizeof(WriterStats);
inline constexpr std::size_t kDescriptorOffset = 12288;
static_assert(kReaderStatsOffset + sizeof(ReaderStats) <= kDescriptorOffset);
constexpr std::size_t returned_offset(std::uint32_t queue_slots) { return kDescriptorOffset + std::size_t{queue_slots} * sizeof(Descriptor); }
constexpr std::size_t link_bytes(std::uint32_t queue_slots) { return returned_offset(queue_slots) + std::size_t{kMaxSlots} * sizeof(Returned); }

struct Doorbell {
  std::atomic<std::uint32_t> rings;  // futex word, not PRIVATE; every ring adds one
};

enum class NodeState : std::uint32_t { starting = 0, waiting = 1, busy = 2, finished = 3 };

struct NodePage {  // one page; by the node
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t reserved0;
  std::atomic<std::uint32_t> state;       // NodeState
  std::uint32_t reserved1;
  std::atomic<std::uint64_t> since_ns;    // CLOCK_MONOTONIC of the last change of state: tells hanging from slow
  std::atomic<std::uint64_t> frames_in, frames_out;
  std::uint64_t reserved[3];
  Histogram processing;                   // time in process() or produce(), a frame
};
inline constexpr std::size_t kNodePageBytes = 12288;
static_assert(sizeof(NodePage) <= kNodePageBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace hawse::plane
