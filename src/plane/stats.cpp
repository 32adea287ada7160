// SPDX-License-Identifier: Apache-2.0
//
// What is counted and what is checked: histograms, the supervisor's view of a link, the rules of a frame header.
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plane/internal.hpp"

namespace hawse::plane {
namespace {

// 0..15 have a bucket each; above, the four bits after the leading one choose among an octave's 16.
std::uint32_t bucket_of(std::uint64_t ns) noexcept {
  if (ns < 16) return static_cast<std::uint32_t>(ns);
  const auto top = static_cast<std::uint32_t>(63 - __builtin_clzll(ns));
  return (top - 3) * 16 + static_cast<std::uint32_t>(ns >> (top - 4) & 15);
}

std::uint64_t middle_of(std::uint32_t bucket) noexcept {
  if (bucket < 16) return bucket;
  const std::uint32_t shift = bucket / 16 - 1;
  const std::uint64_t low = std::uint64_t{16 + bucket % 16} << shift;
  return low + (std::uint64_t{1} << shift) / 2;
}

}  // namespace

const char* to_string(Status status) noexcept {
  switch (status) {
    case Status::ok: return "ok";
    case Status::empty: return "empty";
    case Status::ended: return "ended";
    case Status::full: return "full";
    case Status::no_slot: return "no_slot";
    case Status::too_large: return "too_large";
    case Status::unknown_arena: return "unknown_arena";
    case Status::flushed: return "flushed";
    case Status::corrupt: return "corrupt";
    case Status::not_sealed: return "not_sealed";
    case Status::system: return "system";
    case Status::limit: return "limit";
    case Status::invalid: return "invalid";
  }
  return "unknown";
}

void record(Histogram& histogram, std::uint64_t ns, std::uint64_t times) noexcept {
  add(histogram.count, times);
  add(histogram.sum_ns, ns * times);
  if (ns > histogram.max_ns.load(std::memory_order_relaxed)) histogram.max_ns.store(ns, std::memory_order_relaxed);
  add(histogram.buckets[bucket_of(ns)], times);
}

void begin_work(NodePage& page, std::size_t link, const FrameHeader& header) noexcept {
  page.working_sequence.store(header.sequence, std::memory_order_relaxed);
  page.working_timestamp_ns.store(header.timestamp_ns, std::memory_order_relaxed);
  page.working_link_1.store(link + 1, std::memory_order_release);  // [page.working]
}

void count_in(NodePage& page) noexcept { add(page.frames_in, 1); }

void end_work(NodePage& page) noexcept { page.working_link_1.store(0, std::memory_order_release); }  // [page.working]

// Counts the buckets themselves: `count` may be ahead of them, or garbage where a hostile node owns the histogram.
std::uint64_t quantile(const Histogram& histogram, double q) noexcept {
  double total = 0;  // 976 garbage buckets don't overflow it
  for (const auto& bucket : histogram.buckets) total += static_cast<double>(bucket.load(std::memory_order_relaxed));
  if (total <= 0) return 0;
  const double wanted = (q < 0 ? 0 : q > 1 ? 1 : q) * total;
  double seen = 0;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < kHistogramBuckets; ++i) {
    const std::uint64_t here = histogram.buckets[i].load(std::memory_order_relaxed);
    if (here == 0) continue;
    last = i;
    seen += static_cast<double>(here);
    if (seen >= wanted) break;
  }
  return middle_of(last);
}

std::int64_t monotonic_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool has_one_core() noexcept {
  std::uint64_t mask[128] = {};  // 8192 processors; the kernel says how many bytes it wrote
  const long bytes = ::syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
  int cores = 0;
  for (long i = 0; i < bytes / 8; ++i)
    for (std::uint64_t bits = mask[i]; bits != 0; bits &= bits - 1) ++cores;  // (a library's popcount isn't there at run time)
  return cores == 1;
}

std::uint64_t dtype_bytes(Dtype dtype) noexcept {
  switch (dtype) {
    case Dtype::boolean: case Dtype::int8: case Dtype::uint8: return 1;
    case Dtype::int16: case Dtype::uint16: case Dtype::float16: case Dtype::bfloat16: return 2;
    case Dtype::int32: case Dtype::uint32: case Dtype::float32: return 4;
    case Dtype::int64: case Dtype::uint64: case Dtype::float64: case Dtype::complex64: return 8;
    case Dtype::complex128: return 16;
    case Dtype::none: break;
  }
  return 0;
}

bool valid(const FrameHeader& header, std::uint64_t slot_bytes) noexcept {
  if (header.sequence == 0 || header.payload_bytes > slot_bytes) return false;
  if (header.type == FrameType::none || header.type > FrameType::control || header.dtype > Dtype::complex128) return false;
  if (header.format > PixelFormat::yuv420p || header.rank > kMaxRank) return false;
  if ((header.flags & ~kKnownFlags) != 0) return false;
  if (header.rate_numerator != 0 && header.rate_denominator == 0) return false;  // somebody will divide
  if (header.rank == 0) return true;
  // 1 where there is no dtype: a shape never promises more elements than there are bytes. An empty axis makes the whole
  // empty, but the product of the others stays within 2^62, so that no reader's product of them overflows into something small.
  std::uint64_t bytes = dtype_bytes(header.dtype) == 0 ? 1 : dtype_bytes(header.dtype);
  bool empty = false;
  for (std::uint32_t i = 0; i < header.rank; ++i) {
    if (header.shape[i] == 0) {
      empty = true;
    } else if (bytes > (std::uint64_t{1} << 62) / header.shape[i]) {
      return false;
    } else {
      bytes *= header.shape[i];
    }
  }
  return empty || bytes <= header.payload_bytes;
}

// ---- what the supervisor sees of a link ---------------------------------------------------------------------------------

namespace {

// Words of two processes, read one after the other: a difference may be off by what happens meanwhile, and never negative.
std::uint64_t ahead(std::uint64_t of, std::uint64_t by) noexcept { return by > of ? by - of : 0; }

LinkState state_in(const std::atomic<std::uint32_t>& word) noexcept {
  const std::uint32_t state = word.load(std::memory_order_relaxed);
  return state <= static_cast<std::uint32_t>(LinkState::ended) ? static_cast<LinkState>(state) : LinkState::failed;
}

// The first verdict stays.
void set_state(std::atomic<std::uint32_t>& word, LinkState state) noexcept {
  auto open = static_cast<std::uint32_t>(LinkState::open);
  word.compare_exchange_strong(open, static_cast<std::uint32_t>(state), std::memory_order_release, std::memory_order_relaxed);
}

}  // namespace

Status LinkView::map(int fd, LinkView* out) noexcept { return open_link(fd, &out->mapping_, &out->memory_); }

// A writer that died may have stored a stamp and not counted it.
std::uint64_t LinkView::unread() const noexcept {
  const std::uint64_t read = memory_.header->read.load(std::memory_order_relaxed);
  const std::uint64_t voided = memory_.header->void_until.load(std::memory_order_relaxed);
  std::uint64_t written = writer().written.load(std::memory_order_relaxed);
  if (memory_.descriptors[written & memory_.ring_mask].stamp.load(std::memory_order_acquire) == written + 1) ++written;  // [descriptor.stamp]
  return ahead(read > voided ? read : voided, written);
}

// A reader that was replaced has counted some frames twice, so the leases themselves are counted.
std::uint64_t LinkView::leased() const noexcept {
  std::uint64_t count = 0;
  for (std::uint64_t i = 0; i < memory_.ring_slots(); ++i)
    if (memory_.leases[i].position_1.load(std::memory_order_acquire) != 0) ++count;
  return count;
}

bool LinkView::adopted() const noexcept { return memory_.header->adopted.load(std::memory_order_acquire) != 0; }  // [link.adopted]
LinkState LinkView::writer_state() const noexcept { return state_in(memory_.header->writer_state); }
LinkState LinkView::reader_state() const noexcept { return state_in(memory_.header->reader_state); }
void LinkView::end_for_writer(LinkState state) noexcept {
  set_state(memory_.header->writer_state, state);  // [link.writer_state]
  wake_for_certain(memory_.header->reader_sleeps);
}

void LinkView::end_for_reader(LinkState state) noexcept {
  set_state(memory_.header->reader_state, state);  // [link.reader_state]
  wake_for_certain(memory_.header->writer_sleeps);
}

}  // namespace hawse::plane
