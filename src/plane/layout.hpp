// SPDX-License-Identifier: Apache-2.0
//
// The shared layout: every byte that two processes of a session share is described here and nowhere else. It is the
// specification: another implementation can be written from it.
//
// Four kinds of memory, each a memfd, handed over by descriptor and never by name:
//
//   arena      one per (output port, growth step): slot_count payloads of slot_bytes each, nothing else. Written by the
//              port's node, read by its readers. Sealed SHRINK|GROW at birth by the supervisor; FUTURE_WRITE once the writer
//              has mapped it, and only then handed to readers. A reader maps it read-only.
//   link       one per edge. Shared by exactly one writer and one reader (and the supervisor, which shows its counts):
//              +------------+-------------+-------------+-----------------------+------------------+
//              | LinkHeader | WriterStats | ReaderStats | Descriptor[ring_slots]| Lease[ring_slots]|
//              +------------+-------------+-------------+-----------------------+------------------+
//   doorbell   one futex word a node, mapped by the node and its direct peers. Slept on where a node can't sleep on its links' words.
//   node page  a node's progress and processing times, shared by the node and the supervisor only.
// Links, doorbells and pages are sealed SHRINK|GROW, and mapped for writing by all who have them. Whoever is handed a memory checks its
// size and its seals before it maps it.
//
// Who writes what in a link: the writer the descriptors, its state and its stats; the reader the leases, its state and its
// stats; both the `returned` bits (the reader sets, the writer clears), the words of sleep (who sleeps says how, the other one says
// `awake` as it wakes it) and, where the policy is drop_oldest or latest, `read`. Words of the two are 128 bytes apart: processors
// fetch lines in pairs.
//
// Positions. The frames of a link are numbered 0, 1, 2, ... in 64 bits, which never wrap: its positions. Position p stands in
// descriptor p % ring_slots, and that descriptor's stamp is p + 1 once it is complete. So a reader needs no cursor of the
// writer: it looks at the one stamp that comes next, and what it needs of a frame arrives in the same two cache lines.
//
// Life of a slot, and who moves it on:
//
//   free --writer: allocate--> building --writer: send--> sent (one reference a link, counted in the WRITER'S OWN memory)
//     ^                                                     | reader: advances `read` past its descriptor -> leased
//     |                                                     | writer (drop_oldest, latest): advances `read` -> dropped
//     +--writer: last reference gone <-- reader: sets the slot's bit in `returned`
//
// Life of an arena: made -> mapped by the writer -> sealed -> mapped by the readers -> in use -> (all slots free, nothing built in it for a while, others
// there) retired and unmapped by the writer -> unmapped by each reader -> gone. Its number is not given again for 65,536 growths, its slots' numbers at once.
//
// What each side may assume, if the other is honest:
//   stamp p + 1         place, header and payload of position p are there, `last_sequence` counts it, and what its writer had flushed
//                       or dropped before is to be seen in flush_id, void_until and `read`.
//   `read` beyond p     by the reader: p is leased, and under block and drop_newest its lease was noted first.
//   bit in `returned`   the reader looks at that slot no more, and its lease is gone.
//   writer_state        not open: every frame that there will be has its stamp.
//   reader_state        not open: nothing more is taken or returned, and every slot that the link holds is the writer's.
//   adopted             what a dead reader held is in the ring: before, the reader of the new link takes nothing.
//   ..._sleeps          a hint. Whoever sets it looks once more before it sleeps, so one that is seen late costs nothing. Whoever finds it set sets it
//                       to `awake` and wakes the word, or rings the doorbell.
//
// What a frame costs, both sides busy, on each link, besides its payload's own lines:
//   writer  two lines stored (the descriptor) and its stats; one fence for all links; a look at reader_sleeps and reader_state. Every
//           `queue` frames, under drop_oldest and latest for each frame, a look at `read`, whose line the reader writes. Where no slot
//           is free, for a frame of 4 KiB or more always, a look at the words of `returned` and an exchange of each that isn't zero.
//           One reading of the clock, of a fast stream (a million frames a second) for one frame in 32.
//   reader  the two lines loaded; one locked operation on `read` to take it; two to return it (its own lock, `returned`); its lease, twice;
//           a look at writer_sleeps each time; the clock where the writer has read it.
//   Neither makes a system call or allocates. The other side sleeps: one store to its word and one futex wake. No slot is large enough: four messages, a memory
//   file and its mapping at each end, once. Pages are the machine's from birth; a payload of 64 KiB and more is mapped by one call of its writer when
//   its slot is given out for the first time, other pages, and the reader's, by a fault when they are touched for the first time.
//
// After a death. The writer's own tables say what a dead reader had not returned: it is put into the replacement's link first,
// in order, marked kFlagGivenAgain, and such a link has a ring that is large enough for all of it. Where the writer is dead, too,
// its last link is read on by the replacement: `leases` says which of the positions below `read` were not returned.
//
// Trust. Everything in a link may be overwritten by the peer at any time. Each side therefore keeps its own copy of what
// it needs (the writer: which slots this link holds, its own descriptors; both: their own cursor), copies what the peer
// wrote once, checks the copy, and uses only the copy. A peer that breaks the rules breaks its own link and nothing else.
// That is why a node sleeps on its links' words: no peer can undo what another one wrote to wake it. All peers can write to a doorbell.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hawse::plane {

inline constexpr std::uint32_t kLinkMagic = 0x4c535748;  // "HWSL"
inline constexpr std::uint32_t kPageMagic = 0x50535748;  // "HWSP"
inline constexpr std::uint16_t kVersion = 3;

inline constexpr std::size_t kCacheLine = 64;       // fixed: a shared layout must not follow the compiler's opinion
inline constexpr std::size_t kLinePair = 128;
inline constexpr std::uint32_t kMaxRank = 8;
inline constexpr std::uint32_t kMaxArenas = 32;     // that a port may have at a time
inline constexpr std::uint32_t kMaxSlots = 16384;   // slots a port may have over all its arenas
inline constexpr std::uint32_t kMaxQueue = 8192;    // unread frames on an edge
inline constexpr std::uint32_t kMaxRing = 32768;
inline constexpr std::uint64_t kMaxFrameBytes = (1ull << 32) - 4096;
static_assert(kMaxRing >= 2 * kMaxQueue + kMaxSlots);

enum class FrameType : std::uint8_t { none = 0, audio = 1, video = 2, image = 3, tensor = 4, text = 5, json = 6, bytes = 7, control = 8 };
enum class Dtype : std::uint8_t {
  none = 0, boolean = 1, int8 = 2, uint8 = 3, int16 = 4, uint16 = 5, int32 = 6, uint32 = 7, int64 = 8, uint64 = 9,
  float16 = 10, float32 = 11, float64 = 12, bfloat16 = 13, complex64 = 14, complex128 = 15,
};
enum class PixelFormat : std::uint16_t { none = 0, rgb24 = 1, bgr24 = 2, rgba = 3, bgra = 4, gray8 = 5, yuv420p = 6 };

// Bits of FrameHeader::flags.
inline constexpr std::uint16_t kFlagGivenAgain = 1u << 0;  // this reader's predecessor died with the frame unreturned
inline constexpr std::uint16_t kKnownFlags = kFlagGivenAgain;

// What a frame is. The writer builds it in its own memory; send copies it into the descriptor of every link.
struct FrameHeader {
  FrameType type;
  Dtype dtype;
  std::uint8_t rank;  // entries of shape in use
  std::uint8_t reserved;
  PixelFormat format;         // video and image
  std::uint16_t flags;
  std::uint64_t sequence;     // of the output port, from 1, no gaps
  std::uint64_t payload_bytes;
  std::int64_t sent_ns;       // CLOCK_MONOTONIC; 0: not noted (of a stream with more than a million frames a second one in 32 is)
  std::int64_t timestamp_ns;  // capture time of the first sample; media time for media, CLOCK_REALTIME otherwise
  std::uint64_t trace_id;     // taken over from the frame that caused this one; 0 = none
  std::int64_t duration_ns;   // 0 where it has none
  std::uint32_t rate_numerator;    // audio: samples a second; video: frames a second
  std::uint32_t rate_denominator;  // audio: 1
  std::uint32_t shape[kMaxRank];   // audio: samples, channels. video, image: height, width, channels. tensor: its own
};
inline constexpr std::size_t kHeaderWords = 12;
static_assert(sizeof(FrameHeader) == kHeaderWords * 8 && alignof(FrameHeader) == 8);
static_assert(offsetof(FrameHeader, sequence) == 8 && offsetof(FrameHeader, payload_bytes) == 16 && offsetof(FrameHeader, shape) == 64);

// A frame on its way. The stamp is stored last. Words are released and acquired one by one: a dropping writer may overwrite
// an entry that the reader is just copying, and the reader then finds `read` moved and throws the copy away.
struct alignas(kLinePair) Descriptor {
  std::atomic<std::uint64_t> stamp;                 // its position + 1
  std::atomic<std::uint64_t> place;                 // arena id << 48 | the port's number of the slot << 32 | slot in that arena
  std::atomic<std::uint64_t> header[kHeaderWords];  // FrameHeader
  std::uint64_t reserved[2];
};
static_assert(sizeof(Descriptor) == kLinePair);

// Position + 1 of a frame that the reader holds, at the place of its descriptor; 0 once it is returned. For the reader's
// replacement, where no writer lives that knows it.
struct Lease {
  std::atomic<std::uint64_t> position_1;
};

enum class LinkState : std::uint32_t { open = 0, ended = 1, failed = 2 };

// How an end of a link sleeps. for_urgent: frames, room and slots are no reason to wake it; a flush and the end of the other side are.
enum class Sleeps : std::uint32_t { awake = 0, on_word = 1, on_word_for_urgent = 2, on_doorbell = 3, on_doorbell_for_urgent = 4 };

struct LinkHeader {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t reserved0;
  std::uint32_t queue;         // most unread frames
  std::uint32_t ring_slots;    // entries of the descriptor ring, a power of two: twice the queue (after a flush, what is void still
                               // stands there), and whatever a dead reader may have held
  std::uint32_t shared_read;   // 1: drop_oldest or latest, `read` is moved by compare-and-swap from both sides

  alignas(kLinePair) std::atomic<std::uint64_t> read;  // [link.read] reader (where shared, the writer, too) releases, writer acquires

  // What the writer looks at when it sends.
  // A side says how it sleeps, fences, looks once more, then sleeps: on this word, or on its node's doorbell. The other side fences after
  // publishing and wakes it only if it sleeps: no system call while both are busy.
  alignas(kLinePair) std::atomic<std::uint32_t> reader_sleeps;  // Sleeps; a futex word, not PRIVATE
  std::atomic<std::uint32_t> reader_state;  // LinkState. By the reader's side (or the supervisor): the writer forgets this link and takes its slots back

  // What the reader looks at.
  alignas(kLinePair) std::atomic<std::uint32_t> writer_sleeps;  // Sleeps; likewise
  std::atomic<std::uint32_t> writer_state;   // LinkState. By the writer's side (or the supervisor for a node that ended): no frame follows
  std::atomic<std::uint32_t> adopted;        // 1: the writer has put everything into this link that it has to give again
  // Flush: overtakes everything. The id is stored last; the reader looks at it after the stamp, so that it hears of a flush before
  // it gets a frame that was sent after it.
  std::atomic<std::uint64_t> void_until;     // frames at positions below it are void: the reader returns them unseen
  std::atomic<std::uint64_t> flush_id;       // [link.flush_id] of the last flush; 0: none yet. No two that follow each other are the same

  alignas(kLinePair) std::atomic<std::uint64_t> returned[kMaxSlots / 64];  // [link.returned] a bit for each slot of the port, by its number
};
static_assert(offsetof(LinkHeader, returned) == 4 * kLinePair && sizeof(LinkHeader) == 4 * kLinePair + kMaxSlots / 8);

// Log-linear histogram of nanoseconds: 16 buckets an octave, so a bucket is at most 6.25 % wide. One writer.
inline constexpr std::uint32_t kHistogramBuckets = 61 * 16;
struct Histogram {
  std::atomic<std::uint64_t> count;
  std::atomic<std::uint64_t> sum_ns;
  std::atomic<std::uint64_t> max_ns;
  std::uint64_t reserved[5];
  std::atomic<std::uint64_t> buckets[kHistogramBuckets];
};

struct alignas(kLinePair) WriterStats {  // by the writer
  std::atomic<std::uint64_t> written;  // the position of the next frame
  std::atomic<std::uint64_t> frames, bytes, dropped, copies, given_again, set_aside, flushed, blocked_ns, last_sequence;
};

struct alignas(kLinePair) ReaderStats {  // by the reader
  std::atomic<std::uint64_t> frames, bytes, rejected, flushed, set_aside;
  std::atomic<std::uint64_t> unmatched;  // received, found no partner in the other inputs, given back without a call
  std::uint64_t reserved[2];
  Histogram latency;  // sent_ns to receipt
};

inline constexpr std::size_t kWriterStatsOffset = sizeof(LinkHeader);
inline constexpr std::size_t kReaderStatsOffset = kWriterStatsOffset + sizeof(WriterStats);
inline constexpr std::size_t kDescriptorOffset = kReaderStatsOffset + sizeof(ReaderStats);
static_assert(kDescriptorOffset % kLinePair == 0);
constexpr std::size_t lease_offset(std::uint32_t ring_slots) { return kDescriptorOffset + std::size_t{ring_slots} * sizeof(Descriptor); }
constexpr std::size_t link_bytes(std::uint32_t ring_slots) { return lease_offset(ring_slots) + std::size_t{ring_slots} * sizeof(Lease); }

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
  std::atomic<std::uint64_t> since_ns;    // CLOCK_MONOTONIC of its last sign of life (a call begun, a change of state, alive()): tells hanging from slow
  std::atomic<std::uint64_t> frames_in, frames_out;
  // The frame that the node's own code has: if the node dies now, it died on this one.
  std::atomic<std::uint64_t> working_link_1;  // number of its link + 1; 0: none
  std::atomic<std::uint64_t> working_sequence;
  std::atomic<std::int64_t> working_timestamp_ns;
  Histogram processing;                   // time in process() or produce(), a frame
};
inline constexpr std::size_t kNodePageBytes = 12288;
static_assert(sizeof(NodePage) <= kNodePageBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace hawse::plane
