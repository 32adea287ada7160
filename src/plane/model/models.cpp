// SPDX-License-Identifier: Apache-2.0
//
// Small cases of everything that two processes do to each other's memory. Whoever only looks (and doesn't sleep) looks a few
// times; what it leaves is looked at in the end, when all is visible.
#include "plane/model/models.hpp"

#include "plane/model/edge.hpp"
#include "plane/wait.hpp"

namespace hawse::plane {
namespace {

std::uint64_t dropped_on(int link) {
  LinkView view;
  model::check(LinkView::map(link, &view) == Status::ok, "view");
  return view.writer().dropped.load(std::memory_order_relaxed);
}

// One link with its policy: what was sent is received, or counted as dropped.
template <WhenFull Policy, std::uint32_t Queue, std::uint32_t Slots, int Sends, int Looks>
struct Ring final : model::Model {
  static constexpr Follow kFollow{};
  Writer writer{Slots, kFollow};
  Reader reader{kFollow};
  int link = join(writer, reader, kFollow, Queue, Policy);
  std::uint64_t sent = 0;

  void thread(unsigned index) override {
    if (index == 0)
      for (int i = 0; i < Sends; ++i) sent += writer.send() == Status::ok;
    else
      for (int i = 0; i < Looks; ++i) reader.take();
  }
  void at_end() override {
    reader.drain();
    writer.port.pump();
    model::check(reader.received + dropped_on(link) == sent, "what was sent was received, or counted as dropped");
    model::check(writer.port.slots_in_use() == 0, "every slot is free in the end");
  }
};

// A reader that copies an entry while it is overwritten has half of a small frame and half of a large one, which no honest writer
// sends: it must find `read` moved, and not call the writer hostile.
template <std::uint64_t First, std::uint64_t Then>
struct Sizes final : model::Model {
  static constexpr Follow kFollow{.sizes = true};
  Writer writer{2, kFollow};
  Reader reader{kFollow};
  std::uint64_t sent = 0;

  Sizes() {
    join(writer, reader, kFollow, 1, WhenFull::drop_oldest);
    model::check(reader.link.add_arena(writer.add_large(2), 2, kLargeBytes, 2) == Status::ok, "add_arena");
  }
  void thread(unsigned index) override {
    if (index == 0) {
      const std::uint64_t sizes[] = {First, First, Then, Then};
      for (const std::uint64_t bytes : sizes) sent += writer.send(bytes) == Status::ok;
    } else {
      reader.take();
    }
  }
  void at_end() override {
    reader.drain();
    writer.port.pump();
    model::check(reader.last == sent && writer.port.slots_in_use() == 0, "the newest frame comes");
  }
};

// Two links share the slots: one is given anew only when both have returned it.
struct Pool final : model::Model {
  static constexpr Follow kFollow{};
  Writer writer{1, kFollow};
  Reader readers[2]{Reader{kFollow}, Reader{kFollow}};
  std::uint64_t sent = 0;

  Pool() {
    for (std::uint32_t i = 0; i < 2; ++i) join(writer, readers[i], kFollow, 2, WhenFull::block, i);
  }
  void thread(unsigned index) override {
    if (index == 2)
      for (int i = 0; i < 3; ++i) sent += writer.send() == Status::ok;
    else
      readers[index].take();
  }
  void at_end() override {
    for (Reader& reader : readers) {
      reader.drain();
      model::check(reader.received == sent, "each link gets every frame");
    }
    writer.port.pump();
    model::check(writer.port.slots_in_use() == 0, "every slot is free in the end");
  }
};

// Both sides sleep whenever they can't go on. A lost wake-up is a deadlock, which the explorer finds.
// Holds: the reader returns nothing before the end, so that only its taking can wake the writer.
template <WhenFull Policy, std::uint32_t Queue, std::uint32_t Slots, std::uint64_t Frames, bool Holds = false>
struct Sleep final : model::Model {
  static constexpr Follow kFollow{.sleeping = true, .closing = true};
  Writer writer{Slots, kFollow};
  Reader reader{kFollow};
  Received held[Frames];
  std::uint64_t sent = 0;

  Sleep() {
    join(writer, reader, kFollow, Queue, Policy);
  }
  void thread(unsigned index) override { index == 0 ? write() : read(); }
  void write() {
    OutputPort* const output = &writer.port;
    const Ends ends{&output, 1, nullptr, 0};
    while (sent < Frames)
      if (writer.send() == Status::ok)
        ++sent;
      else
        wait(writer.door.bell, ends, false, true, nullptr, -1);
    output->end(LinkState::ended);
    while (!output->drained()) wait(writer.door.bell, ends, false, false, nullptr, -1);
  }
  void read() {
    InputLink* const input = &reader.link;
    for (;;) {
      const Status status = Holds ? hold() : reader.take();
      if (status == Status::ended) return;
      if (status != Status::ok) wait(reader.door.bell, {nullptr, 0, &input, 1}, true, false, nullptr, -1);
    }
  }
  Status hold() {
    Received& frame = held[reader.received % Frames];
    const Status status = reader.link.receive(&frame);
    if (status == Status::ok) reader.note(frame);
    return status;
  }
  void at_end() override {
    for (std::uint32_t i = 0; Holds && i < reader.received; ++i) reader.release(held[i]);
    model::check(Policy != WhenFull::block || reader.received == Frames, "every frame comes before the end");
    writer.port.pump();
    model::check(writer.port.slots_in_use() == 0, "every slot is free in the end");
  }
};

// A reader goes while it has a frame and the writer sleeps: what it read of it was there, though its slot is given anew at once.
struct ReaderGoes final : model::Model {
  static constexpr Follow kFollow{.sleeping = true, .closing = true};
  Writer writer{1, kFollow};
  Reader reader{kFollow};

  ReaderGoes() {
    join(writer, reader, kFollow, 1, WhenFull::block);
  }
  void thread(unsigned index) override {
    if (index == 0) {
      OutputPort* const output = &writer.port;
      for (int sent = 0; sent < 2;)
        if (writer.send() == Status::ok)
          ++sent;
        else
          wait(writer.door.bell, {&output, 1, nullptr, 0}, false, true, nullptr, -1);
      return;
    }
    Received frame;
    if (reader.link.receive(&frame) == Status::ok) reader.note(frame);
    reader.link.close();
  }
  void at_end() override {
    writer.port.pump();
    model::check(writer.port.slots_in_use() == 0, "every slot is free in the end");
  }
};

// A flush is heard of before anything that was sent after it, and what it voids is not seen after it.
struct Flush final : model::Model {
  static constexpr Follow kFollow{.flushing = true};
  Writer writer{4, kFollow};
  Reader reader{kFollow};
  bool heard = false;

  Flush() {
    join(writer, reader, kFollow, 2, WhenFull::block);
  }
  void thread(unsigned index) override {
    if (index == 1) {
      for (int i = 0; i < 3; ++i) look();
      return;
    }
    bool good = writer.send() == Status::ok;
    writer.port.flush(7);
    good = writer.send() == Status::ok && good;
    model::check(good, "a link with room takes a frame");
  }
  Status look() {
    Received frame;
    const Status status = reader.link.receive(&frame);
    model::check(status != Status::corrupt, "an honest writer is taken for a hostile one");
    if (status == Status::flushed) {
      model::check(!heard && frame.flush_id == 7, "a flush is heard of once, with its number");
      heard = true;
    }
    if (status != Status::ok) return status;
    reader.note(frame);
    model::check(heard == (frame.header.sequence == 2), "a flush comes before what follows it, and what it voids not after it");
    reader.release(frame);
    return status;
  }
  void at_end() override {
    while (look() != Status::empty) {
    }
    model::check(heard && reader.got[2], "the flush and what follows it come");
    writer.port.pump();
    model::check(writer.port.slots_in_use() == 0, "every slot is free in the end");
  }
};

// A reader that sleeps hears of a flush at once.
struct FlushWakes final : model::Model {
  static constexpr Follow kFollow{.sleeping = true, .flushing = true};
  Writer writer{1, kFollow};
  Reader reader{kFollow};

  FlushWakes() {
    join(writer, reader, kFollow, 1, WhenFull::block);
  }
  void thread(unsigned index) override {
    if (index == 0) return writer.port.flush(7);
    InputLink* const input = &reader.link;
    Received frame;
    while (reader.link.receive(&frame) != Status::flushed) wait(reader.door.bell, {nullptr, 0, &input, 1}, true, false, nullptr, -1);
  }
  void at_end() override {}
};

// A reader of two links sleeps on both, or on its doorbell; what each brings wakes it.
template <bool Many>
struct TwoInputs final : model::Model {
  static constexpr Follow kFollow{.sleeping = true};
  Writer writers[2]{Writer{1, kFollow}, Writer{1, kFollow}};
  Reader readers[2]{Reader{kFollow}, Reader{kFollow}};  // of one node, the first one's doorbell

  TwoInputs() {
    sleep_on_many_words(Many);
    if (Many) model::let_sleep_on_many();
    for (int i = 0; i < 2; ++i) {
      const int link = create_link(1, WhenFull::block);
      follow_link(link, kFollow);
      readers[i].connect(link, writers[i]);
      attach(writers[i], link, readers[0], 1, WhenFull::block);
    }
  }
  void thread(unsigned index) override {
    if (index == 0) {
      for (Writer& writer : writers) model::check(writer.send() == Status::ok, "a link with room takes a frame");
      return;
    }
    InputLink* const inputs[2] = {&readers[0].link, &readers[1].link};
    while (readers[0].received + readers[1].received < 2)
      if (readers[0].take() != Status::ok && readers[1].take() != Status::ok) wait(readers[0].door.bell, {nullptr, 0, inputs, 2}, true, false, nullptr, -1);
  }
  void at_end() override {}
};

// A thread of the reader's own process ends its sleep on a link.
struct Woken final : model::Model {
  static constexpr Follow kFollow{.sleeping = true};
  Writer writer{1, kFollow};
  Reader reader{kFollow};
  Waker waker;
  model::Message message;

  Woken() {
    join(writer, reader, kFollow, 1, WhenFull::block);
    model::follow(&waker, "waker.sleeps");
  }
  struct Waiter {
    Woken& self;
    bool there() const { return self.message.heard_unordered() != 0; }
    void prepare_sleep(SleepSet& set) const { self.reader.link.prepare_sleep(set); }
    void sleeps_on(const std::atomic<std::uint32_t>* word) const { self.waker.sleeps_on(word); }
    void cancel_sleep() const {
      self.waker.awake();
      self.reader.link.cancel_sleep();
    }
    void asleep(bool) const {}
  };
  void thread(unsigned index) override {
    if (index == 0) {
      message.say_unordered(1);
      waker.wake();
      return;
    }
    AdaptiveSpin never;
    while (!wait_on(reader.door.bell, never, 0, -1, Waiter{*this})) {
    }
  }
  void at_end() override {}
};

// The reader dies before any of its operations. Its replacement gets what it had not returned, first and in order, then the rest.
struct ReaderDies final : model::Model {
  static constexpr Follow kFollow{.closing = true, .leases = true};
  static constexpr std::uint32_t kQueue = 2;
  Writer writer{3, kFollow};
  Reader reader{kFollow}, replacement{kFollow};
  int next_link = create_link(kQueue, WhenFull::block, 3);
  model::Message died;
  bool dead = false, replaced = false;
  std::uint64_t sent = 0;

  ReaderDies() {
    join(writer, reader, kFollow, kQueue, WhenFull::block);
    follow_link(next_link, kFollow);
  }
  void thread(unsigned index) override {
    if (index == 0) {
      for (int i = 0; i < 4; ++i) {
        if (!replaced && died.heard() != 0) replace();
        sent += writer.send() == Status::ok;
      }
      return;
    }
    const auto live = [](void* self) {
      for (int i = 0; i < 3; ++i) static_cast<ReaderDies*>(self)->reader.take();
    };
    if (!model::may_die(live, this)) return;
    dead = true;
    replacement.connect(next_link, writer);
    died.say(1);
    for (int i = 0; i < 2; ++i) replacement.take();
  }
  void replace() {
    replaced = true;
    attach(writer, next_link, replacement, kQueue, WhenFull::block);
  }
  void at_end() override {
    if (dead && !replaced) replace();
    (dead ? replacement : reader).drain();
    for (std::uint64_t sequence = 1; sequence <= sent; ++sequence) {
      model::check(reader.returned[sequence] || replacement.got[sequence] || (dead && reader.got[sequence] && returned_unseen(sequence)),
                   "no frame is lost");
      model::check(!(reader.returned[sequence] && replacement.got[sequence]), "what was returned is not given again");
    }
    writer.port.pump();
    model::check(writer.port.slots_in_use() == 0, "every slot is free in the end");
  }
  // It had looked at it and its bit is set: it died on the way out of release().
  bool returned_unseen(std::uint64_t sequence) const { return sequence == reader.last && sequence < sent + 1; }
};

// A replacement that sleeps until the writer has given again what its predecessor had; then the writer ends: at once, or when it has sent one more.
template <bool Waits>
struct Adopt final : model::Model {
  static constexpr Follow kFollow{.sleeping = true, .closing = true};
  static constexpr std::uint32_t kQueue = 1;
  Writer writer{2, kFollow};
  Reader reader{kFollow}, replacement{kFollow};
  int next_link = create_link(kQueue, WhenFull::block, 2);

  Adopt() {
    const int link = create_link(kQueue, WhenFull::block);
    follow_link(next_link, kFollow);
    reader.connect(link, writer);
    replacement.connect(next_link, writer);
    attach(writer, link, reader, kQueue, WhenFull::block);
    Received held;
    const bool good = writer.send() == Status::ok && reader.link.receive(&held) == Status::ok && writer.send() == Status::ok;
    model::check(good, "one frame is held, and one unread");
  }
  void thread(unsigned index) override {
    if (index == 0) {
      OutputPort* const output = &writer.port;
      attach(writer, next_link, replacement, kQueue, WhenFull::block);
      while (Waits && writer.send() != Status::ok) wait(writer.door.bell, {&output, 1, nullptr, 0}, false, true, nullptr, -1);
      writer.port.end(LinkState::ended);
      return;
    }
    InputLink* const input = &replacement.link;
    for (;;) {
      const Status status = replacement.take();
      if (status == Status::ended) return;
      if (status != Status::ok) wait(replacement.door.bell, {nullptr, 0, &input, 1}, true, false, nullptr, -1);
    }
  }
  void at_end() override {
    model::check(replacement.received == (Waits ? 3 : 2) && replacement.again == 2, "both come again before the end");
    writer.port.pump();
    model::check(writer.port.slots_in_use() == 0, "every slot is free in the end");
  }
};

// The writer dies before any of its operations: what it had sent is read to its end, whole, then what its replacement sends.
struct WriterDies final : model::Model {
  static constexpr Follow kFollow{.closing = true};
  Writer writer{3, kFollow}, replacement{2, kFollow};
  Reader reader{kFollow};
  int link = join(writer, reader, kFollow, 2, WhenFull::block), next_link = create_link(2, WhenFull::block);
  model::Message died;
  bool dead = false, connected = false;
  std::uint64_t sent = 0, sent_again = 0;

  WriterDies() {
    follow_link(next_link, kFollow);
    replacement.port.set_next_sequence(8);
    attach(replacement, next_link, reader, 2, WhenFull::block);
  }
  void thread(unsigned index) override {
    if (index == 1) {
      for (int i = 0; i < 4; ++i) look();
      return;
    }
    const auto live = [](void* self) {
      auto& model = *static_cast<WriterDies*>(self);
      for (int i = 0; i < 3; ++i) model.sent += model.writer.send() == Status::ok;
    };
    if (!model::may_die(live, this)) return;
    dead = true;
    LinkView view;
    model::check(LinkView::map(link, &view) == Status::ok, "view");
    view.end_for_writer(LinkState::failed);
    died.say(1);
    sent_again += replacement.send() == Status::ok;
  }
  void look() {
    if (!connected && died.heard() != 0) connect();
    reader.take();
  }
  void connect() {
    connected = true;
    reader.connect(next_link, replacement);
  }
  void at_end() override {
    if (dead && !connected) connect();
    reader.drain();
    for (std::uint64_t sequence = 1; sequence <= sent; ++sequence) model::check(reader.got[sequence], "what a dead writer had sent is read");
    model::check(sent_again == 0 || reader.got[8], "then comes what its replacement sends");
    model::check(reader.received <= sent + sent_again + (dead ? 1 : 0), "at most the frame on whose way it died is seen, too");
  }
};

// Both die, so nobody remembers: the link itself says what the dead reader had not returned.
struct BothDie final : model::Model {
  static constexpr Follow kFollow{.closing = true, .leases = true};
  Writer writer{2, kFollow};
  Reader reader{kFollow}, replacement{kFollow};
  int link = join(writer, reader, kFollow, 2, WhenFull::block);
  bool reader_died = false;
  std::uint64_t sent = 0;

  void thread(unsigned index) override {
    const auto write = [](void* self) {
      auto& model = *static_cast<BothDie*>(self);
      for (int i = 0; i < 3; ++i) model.sent += model.writer.send() == Status::ok;
    };
    const auto read = [](void* self) {
      for (int i = 0; i < 3; ++i) static_cast<BothDie*>(self)->reader.take();
    };
    if (index == 0)
      model::may_die(write, this);
    else
      reader_died = model::may_die(read, this);
  }
  void at_end() override {
    LinkView view;
    model::check(LinkView::map(link, &view) == Status::ok, "view");
    view.end_for_writer(LinkState::failed);
    if (!reader_died) reader.drain();
    replacement.connect(link, writer);
    replacement.drain();
    for (std::uint64_t sequence = 1; sequence <= sent; ++sequence) {
      // The lease goes first: where it died inside of release(), the frame counts as returned.
      const bool in_release = reader_died && reader.got[sequence] && sequence == reader.last;
      model::check(reader.returned[sequence] || in_release || replacement.got[sequence], "no frame is lost");
      model::check(!(reader.returned[sequence] && replacement.got[sequence]), "what was returned is not given again");
    }
  }
};

}  // namespace

std::vector<Searched> models() {
  return {
      {model::maker<Ring<WhenFull::block, 1, 2, 3, 3>>("ring, block", 2), 3, 6, 2},
      {model::maker<Ring<WhenFull::drop_oldest, 1, 3, 3, 2>>("ring, drop_oldest", 2), 3, 5, 2},
      {model::maker<Ring<WhenFull::latest, 1, 3, 3, 2>>("ring, latest", 2), 3, 5, 2},
      {model::maker<Ring<WhenFull::drop_newest, 1, 2, 3, 3>>("ring, drop_newest", 2), 3, 6, 2},
      {model::maker<Sizes<kLargeBytes, kPayloadBytes>>("ring, drop_oldest, then smaller", 2), 3, 4, 2},
      {model::maker<Sizes<kPayloadBytes, kLargeBytes>>("ring, drop_oldest, then larger", 2), 3, 4, 2},
      {model::maker<Pool>("slot pool, two links", 3), 2, 3, 2},
      {model::maker<ReaderGoes>("reader goes", 2), 2, 4, 2},
      {model::maker<Flush>("flush", 2), 2, 4, 2},
      {model::maker<FlushWakes>("flush, a reader that sleeps", 2), 3, 5, 2},
      {model::maker<TwoInputs<true>>("sleep on two links", 2), 2, 3, 2},
      {model::maker<TwoInputs<false>>("sleep on a doorbell", 2), 2, 3, 2},
      {model::maker<Woken>("woken by its own process", 2), 3, 5, 2},
      {model::maker<Sleep<WhenFull::block, 1, 1, 1>>("sleep, one frame", 2), 2, 3, 2},
      {model::maker<Sleep<WhenFull::block, 1, 1, 2>>("sleep, one slot", 2), 1, 2, 1},
      {model::maker<Sleep<WhenFull::block, 1, 2, 3>>("sleep, queue of one", 2), 1, 2, 1},
      {model::maker<Sleep<WhenFull::block, 1, 2, 2, true>>("sleep, a reader that holds", 2), 1, 2, 1},
      {model::maker<Sleep<WhenFull::drop_oldest, 1, 2, 1, true>>("sleep, a reader that holds, drop_oldest", 2), 1, 2, 1},
      {model::maker<Adopt<false>>("replacement sleeps, the writer ends", 2), 2, 3, 1},
      {model::maker<Adopt<true>>("replacement sleeps, the writer goes on", 2), 2, 3, 1},
      {model::maker<ReaderDies>("reader dies", 2), 2, 3, 1},
      {model::maker<WriterDies>("writer dies", 2), 2, 3, 1},
      {model::maker<BothDie>("both die", 2), 2, 3, 1},
  };
}

}  // namespace hawse::plane
