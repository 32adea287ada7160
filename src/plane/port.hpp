// SPDX-License-Identifier: Apache-2.0
//
// The two ends of the plane: OutputPort (the writer of one output port) and InputLink (the reader of one edge).
//
// Data flow.   OutputPort: allocate -> fill in place -> send to every link of the port. InputLink: receive -> read in
//              place -> release.
// Sleeping.    Neither end blocks. A node asks each of its ends to prepare_sleep(), says so to their peers, looks at them once
//              more, and sleeps (wait_on() of wait.hpp does it all). See SleepSet.
// Threading.   One thread drives all ends of a node. Only InputLink::release may be called from any thread.
// Errors.      Everything is noexcept, allocates nothing after set-up, logs nothing and returns Status. The code is
//              freestanding (no libstdc++ at run time, no exceptions), so that one object serves every C library.
// Trust.       See layout.hpp: the peer's words are copied once, checked, then used.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "plane/layout.hpp"
#include "plane/spin.hpp"

namespace hawse::plane {

enum class Status : std::uint8_t {
  ok = 0,
  empty,        // receive: nothing unread
  ended,        // receive: nothing unread and the writer has ended the stream
  full,         // send: a blocking link has no room
  no_slot,      // allocate: every slot of that size is in use: grow, or wait for a return
  too_large,    // allocate: no arena has slots of that size: grow
  unknown_arena,// receive: the arena's descriptor has not arrived yet; the frame stays unread, try again
  flushed,      // receive: the writer has flushed the link since the last receive; out->flush_id
  corrupt,      // the peer broke the rules; the link is closed
  not_sealed,   // a memory that could shrink, grow or be written by others was handed over
  system,       // a system call failed; errno says which way
  limit,        // kMaxArenas, kMaxSlots or the like
  invalid,      // send: not a slot that is being built, or a header that valid() refuses; nothing happened
};
const char* to_string(Status) noexcept;

enum class WhenFull : std::uint8_t { block, drop_oldest, drop_newest, latest };

inline constexpr std::uint32_t kMaxLinks = 256;  // links of one output port
inline constexpr std::int64_t kNever = INT64_MAX;
inline constexpr std::int64_t kIdle_ns = 2'000'000'000;  // so long no frame was built in an arena that is given back

// ---- memory made by the supervisor ---------------------------------------------------------------------------------
// Each returns a descriptor (close-on-exec) or -1 with errno. Pages are allocated at once, so that a shortage is an
// error here and never a SIGBUS later; sealed SHRINK|GROW.
int create_arena(std::uint64_t slot_bytes, std::uint32_t slot_count) noexcept;  // slot_bytes: a multiple of 64
// backlog: slots that its writer has now, where the link replaces one whose reader died: so many frames may be given again.
int create_link(std::uint32_t queue, WhenFull, std::uint32_t backlog = 0) noexcept;
int create_doorbell() noexcept;
int create_node_page() noexcept;
int seal_arena(int fd) noexcept;  // adds FUTURE_WRITE once the writer has mapped it

// A mapped piece of shared memory. Move-only, unmaps at the end.
class Mapping {
 public:
  Mapping() noexcept = default;
  Mapping(Mapping&&) noexcept;
  Mapping& operator=(Mapping&&) noexcept;
  ~Mapping();
  // Checks size and seals (F_SEAL_SHRINK|F_SEAL_GROW, plus FUTURE_WRITE where `read_only`), then maps. fd stays the caller's.
  static Status map(int fd, std::size_t bytes_at_least, bool read_only, Mapping* out) noexcept;
  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// The parts of a mapped link, and what its header said when it was opened: the peer may change the header later, to no effect.
struct LinkMemory {
  LinkHeader* header = nullptr;
  WriterStats* writer = nullptr;
  ReaderStats* reader = nullptr;
  Descriptor* descriptors = nullptr;
  Lease* leases = nullptr;
  std::uint32_t queue = 0;
  std::uint32_t ring_mask = 0;
  bool shared_read = false;

  std::uint64_t ring_slots() const noexcept { return std::uint64_t{ring_mask} + 1; }
};

// The futex word of a node.
class Bell {
 public:
  static Status map(int fd, Bell* out) noexcept;
  std::uint32_t value() const noexcept;
  void ring() noexcept;  // add one and wake
  std::atomic<std::uint32_t>& word() const noexcept;

 private:
  Mapping mapping_;
};

// What a node sleeps on, once: a word in each link whose other end may wake it, which only the two ends (and the supervisor) can write. Several words
// at a time want futex_waitv (Linux 5.16); before that, and where there are more than kMostWords, it is the node's doorbell.
class SleepSet {
 public:
  static constexpr std::uint32_t kMostWords = 128;  // that the kernel takes

  explicit SleepSet(const Bell& bell) noexcept : bell_(bell), rings_(bell.value()) {}  // before the looks
  void add(std::atomic<std::uint32_t>& word, bool only_urgent) noexcept;
  void announce() noexcept;                       // to the peers; a full fence. Then look once more
  const std::atomic<std::uint32_t>* word() const noexcept;  // a wake of it ends the sleep
  void sleep(std::int64_t timeout_ns) noexcept;  // until a peer wakes us, a signal comes, or the timeout has passed (< 0: none); or spuriously

 private:
  struct Word {  // as the kernel's futex_waitv
    std::uint64_t value, address;
    std::uint32_t flags, reserved;
  };
  bool on_doorbell() const noexcept { return count_ == 0 || count_ > kMostWords || (count_ > 1 && !many_); }

  const Bell& bell_;
  std::uint32_t rings_, count_ = 0;
  bool many_ = false;
  Word words_[kMostWords];
};
bool can_sleep_on_many_words() noexcept;  // asks the kernel, once
void sleep_on_many_words(bool) noexcept;  // false: as before Linux 5.16, for tests

// Ends the sleep of a node from another thread of its process. A peer can write to the word that the node sleeps on, and can take the node off it
// (FUTEX_REQUEUE), but can't keep wake() from waking it: it goes on until the node has woken, in the end by a signal (SIGURG), after which the kernel
// puts it back on its word.
class Waker {
 public:
  // By the sleeper: before it looks once more (acquires what was there before a wake() that found it awake), and when it has woken.
  void sleeps_on(const std::atomic<std::uint32_t>* word) noexcept;
  void awake() noexcept;
  void wake() noexcept;  // by any other thread

 private:
  std::atomic<std::uint32_t> sleeps_{0};  // odd: asleep
  std::atomic<const std::atomic<std::uint32_t>*> word_{nullptr};
  std::atomic<pthread_t> thread_{};
};

struct Slot {
  std::uint32_t number = 0;  // of the port
};

// A frame being built: header (in this node's own memory) and payload (in the slot) that no reader sees yet.
struct Building {
  FrameHeader* header = nullptr;
  std::byte* payload = nullptr;
  std::uint64_t capacity = 0;
  Slot slot;
};

class OutputPort {
 public:
  OutputPort() noexcept;
  ~OutputPort();
  OutputPort(const OutputPort&) = delete;

  void set_next_sequence(std::uint64_t) noexcept;
  Status add_arena(int fd, std::uint32_t id, std::uint64_t slot_bytes, std::uint32_t slot_count) noexcept;  // maps; not yet used
  Status enable_arena(std::uint32_t id) noexcept;                                                          // sealed and known to the readers
  // Giving memory back. An arena in which nothing was built for a while, none of whose slots is held, and which isn't the only one, is idle: its id.
  // The node retires it and tells the runtime. Where a port grows again soon after that, the while becomes longer. Asked when look_ns() has come
  // (kNever: there is nothing to look at); look_is_due(): it has, by the clock as it was read for the last frame.
  bool idle_arena(std::int64_t now_ns, std::uint32_t* id) noexcept;
  std::int64_t look_ns() const noexcept;
  bool look_is_due() const noexcept;
  // Unmaps it. Its place and its slots' numbers are a later arena's. limit: no such arena is in use; invalid: a slot of it is held, or pinned. One at a
  // time: nothing more is idle until arena_gone() says that nobody has it any more, so that a reader that is slow to let go costs one and no more.
  Status retire_arena(std::uint32_t id) noexcept;
  void arena_gone() noexcept;
  void pin(Slot) noexcept;    // somebody goes on looking at a slot that was sent: its arena stays mapped
  void unpin(Slot) noexcept;
  // Connects link number `index` (0, 1, ... of this port). On an index that is in use it replaces the link of a reader
  // that died: everything that reader held is given to the new one first, in order, marked kFlagGivenAgain, but the frame
  // `set_aside_sequence` (0: none), which is dropped and counted. limit: the new link's ring has not been made for so many.
  Status set_link(std::uint32_t index, int link_fd, int reader_doorbell_fd, std::uint32_t queue, WhenFull, std::uint64_t set_aside_sequence = 0) noexcept;

  // The hottest free slot that holds payload_bytes. Collects returned slots when none is free.
  Status allocate(std::uint64_t payload_bytes, Building* out) noexcept;
  void abandon(const Building&) noexcept;
  // Every blocking link has room now and, after an allocate() that said no_slot, a slot of that size is free.
  bool can_send() noexcept;
  // Sets sequence and sent_ns of the header, and gives the slot to every link. full: nothing happened. ended: after end().
  // `copies`: how often the runtime copied this payload on its way into the slot (0 for one built in place).
  Status send(const Building&, std::uint32_t copies) noexcept;
  // What was sent and not yet taken is void: its readers return it unseen, and it doesn't count as unread any more. The next
  // that each reader receives is Status::flushed, whatever is queued. `id` goes with it, for whoever hears of it twice.
  void flush(std::uint64_t id) noexcept;
  void count_flushed() noexcept;                // a frame that a flush overtook before it could be sent
  void pump() noexcept;                         // takes back what was returned, sees who closed
  void end(LinkState) noexcept;                 // no more frames
  bool has_ended() const noexcept;
  bool drained() noexcept;                      // every link has read everything (or is gone)

  void prepare_sleep(SleepSet&) noexcept;       // once it is announced the readers wake us when room or slots appear
  void cancel_sleep() noexcept;
  std::uint64_t slot_count() const noexcept;
  std::uint64_t largest_slot_bytes() const noexcept;  // 0: no arena is in use
  std::uint64_t slots_in_use() const noexcept;
  std::uint64_t next_sequence() const noexcept;

 private:
  struct State;
  void look_again() noexcept;
  State* state_;  // anonymous mapping, sized at construction
};

struct Received {
  FrameHeader header;       // the checked copy
  const std::byte* payload = nullptr;
  Slot slot;
  std::uint64_t flush_id = 0;  // with Status::flushed, and nothing else is set then
  std::uint64_t epoch = 0;  // which connection of the link it came from; hand it back to release
};

class InputLink {
 public:
  InputLink() noexcept;
  ~InputLink();
  InputLink(const InputLink&) = delete;

  // On a link in use: the writer was replaced. What the old one sent is read to the end first, then the new link.
  // Frames leased from the old one stay readable until released. On a link that a dead reader had: what it had not returned
  // comes first, marked kFlagGivenAgain, but the frame `set_aside_sequence` (0: none).
  Status connect(int link_fd, int writer_doorbell_fd, std::uint64_t set_aside_sequence = 0) noexcept;
  Status add_arena(int fd, std::uint32_t id, std::uint64_t slot_bytes, std::uint32_t slot_count) noexcept;  // of the newest connection

  // The writer has given it back: unmapped. An honest writer does that when everything in it was returned; on another one the link is closed, and what is
  // leased stays readable. A frame that names it later breaks the rules.
  Status drop_arena(std::uint32_t id) noexcept;  // of the newest connection

  Status receive(Received* out) noexcept;
  void release(const Slot&, std::uint64_t epoch) noexcept;  // any thread
  std::uint64_t flush_waiting() const noexcept;  // its id, before receive() has said so; 0: none
  void count_unmatched() noexcept;  // a frame that was received found no partner: for the summary
  bool has_unread() noexcept;   // receive would not say empty, nor unknown_arena again
  void close() noexcept;        // reader_state := ended: the writer takes everything back

  void prepare_sleep(SleepSet&, bool only_urgent = false) noexcept;  // only_urgent: frames don't wake us
  void cancel_sleep() noexcept;
  std::uint64_t leased() const noexcept;

 private:
  struct State;
  State* state_;
};

// A wait for everything that has nothing but ends, on wait_on(): of tests, models and benchmarks.
struct Ends {
  OutputPort* const* outputs = nullptr;
  std::size_t output_count = 0;
  InputLink* const* inputs = nullptr;
  std::size_t input_count = 0;
};
// Returns when an input has something (wait_for_input; take one that has ended, or is corrupt, out of `ends`: it always has),
// when every output can_send (wait_for_room), when every output that has ended is drained (with neither), when a peer wakes us for something
// else, when a signal came, or after timeout_ns (< 0: none). `spin`: how long to look before sleeping; null: not at all.
void wait(Bell&, const Ends&, bool wait_for_input, bool wait_for_room, AdaptiveSpin* spin, std::int64_t timeout_ns) noexcept;

// What the supervisor reads of a link, and its two levers.
class LinkView {
 public:
  static Status map(int fd, LinkView* out) noexcept;
  const WriterStats& writer() const noexcept { return *memory_.writer; }
  const ReaderStats& reader() const noexcept { return *memory_.reader; }
  std::uint64_t unread() const noexcept;
  std::uint64_t leased() const noexcept;
  bool adopted() const noexcept;  // the writer has put all into it that it had to give again
  LinkState writer_state() const noexcept;
  LinkState reader_state() const noexcept;
  // For good. Each wakes the other end where it sleeps on the link's word. It may sleep on its doorbell, and a hostile one may have taken it off the
  // word: make sure by a message to the node.
  void end_for_writer(LinkState) noexcept;
  void end_for_reader(LinkState) noexcept;
 private:
  Mapping mapping_;
  LinkMemory memory_;
};

// The frame that the node's own code has from now on, by its link's number; and that it has none any more.
void count_in(NodePage&) noexcept;
void begin_work(NodePage&, std::size_t link, const FrameHeader&) noexcept;
void end_work(NodePage&) noexcept;

// Bucket arithmetic of Histogram.
void record(Histogram&, std::uint64_t ns, std::uint64_t times = 1) noexcept;
std::uint64_t quantile(const Histogram&, double q) noexcept;  // middle of the bucket; 0 if empty

std::int64_t monotonic_ns() noexcept;
bool has_one_core() noexcept;  // this thread may run on one only: nothing comes while it looks for it
std::uint64_t dtype_bytes(Dtype) noexcept;  // 0 for none or out of range
bool valid(const FrameHeader&, std::uint64_t slot_bytes) noexcept;  // every field in range, shape x dtype <= payload <= slot

}  // namespace hawse::plane
