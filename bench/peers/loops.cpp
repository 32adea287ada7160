// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/loops.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include <random>
#include <stdexcept>
#include <utility>

#include "bench/peers/pattern.hpp"

namespace hawse::bench {
namespace {

std::int64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// The calling thread keeps to one core for as long as this lives.
class OnCore {
 public:
  explicit OnCore(int core) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(core), &one);
    if (::sched_getaffinity(0, sizeof before_, &before_) != 0 || ::sched_setaffinity(0, sizeof one, &one) != 0)
      throw std::runtime_error(fmt::format("core {} can't be used", core));
  }
  OnCore(const OnCore&) = delete;
  ~OnCore() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

// One end of the transport, with errors as exceptions.
class End {
 public:
  End(const hawse_transport& api, const hawse_peer_setup& setup) : api_(api), setup_(setup), peer_(api.open(&setup)) {
    if (peer_ == nullptr) fail();
  }
  End(const End&) = delete;
  ~End() { api_.close(peer_); }

  void* loan(std::uint64_t bytes) {
    void* const memory = api_.loan(peer_, bytes);
    if (memory == nullptr) fail();
    return memory;
  }
  void send(std::uint64_t bytes) {
    if (api_.send(peer_, bytes) != 0) fail();
  }
  const void* receive(std::uint64_t bytes_expected) {
    const void* payload = nullptr;
    std::uint64_t bytes = 0;
    if (api_.receive(peer_, &payload, &bytes) != 0) fail();
    if (bytes != bytes_expected) throw std::runtime_error(fmt::format("{}: a payload of {} bytes arrived with {}", api_.name, bytes_expected, bytes));
    return payload;
  }
  void release() noexcept { api_.release(peer_); }
  const char* name() const noexcept { return api_.name; }

 private:
  [[noreturn]] void fail() const { throw std::runtime_error(fmt::format("{}: {}", api_.name, setup_.error)); }

  const hawse_transport& api_;
  const hawse_peer_setup& setup_;
  hawse_peer* peer_;
};

// Both ends have come here. Sleeps.
void meet(int socket) {
  char word = 'm';
  if (::send(socket, &word, 1, MSG_NOSIGNAL) != 1 || ::recv(socket, &word, 1, 0) != 1) throw std::runtime_error("the other end is gone");
}

// The payloads of one end. Both directions are numbered from 1, and the number is in every word of a payload that is written.
class Payloads {
 public:
  Payloads(End& end, const Job& job) : end_(end), job_(job) {}

  void write(std::uint64_t bytes) {
    void* const payload = end_.loan(bytes);
    ++written_;
    if (job_.touch != Touch::none) timed([&] { fill(payload, bytes, written_ << 32); });
  }
  void send(std::uint64_t bytes) {
    write(bytes);
    end_.send(bytes);
  }
  const void* receive(std::uint64_t bytes) { return end_.receive(bytes); }
  // `again`: another reader of the payload that was read last.
  void read(const void* payload, std::uint64_t bytes, bool again = false) {
    if (!again) ++read_;
    bool right = true;
    if (job_.touch == Touch::written_and_read) timed([&] { right = is_filled(payload, bytes, read_ << 32); });
    if (job_.touch == Touch::written) right = is_filled_at_samples(payload, bytes, read_ << 32);
    if (!right)
      throw std::runtime_error(fmt::format("{}: payload {} of {} bytes arrived with other bytes than were sent", end_.name(), read_, bytes));
  }
  void take(std::uint64_t bytes) {
    read(end_.receive(bytes), bytes);
    end_.release();
  }
  // Spent in writing and reading since the last call; counted only where the job asks for it.
  std::int64_t touched_ns() noexcept { return std::exchange(touched_ns_, 0); }

 private:
  template <class Call>
  void timed(Call&& call) {
    if (job_.touch_only == 0) return call();
    const std::int64_t began_ns = now_ns();
    call();
    touched_ns_ += now_ns() - began_ns;
  }

  End& end_;
  const Job& job_;
  std::uint64_t written_ = 0, read_ = 0;
  std::int64_t touched_ns_ = 0;
};

// Calls sample(number, operations) for the warm-up, which has the number -1 and isn't kept, and for each sample.
template <class Sample>
void each_sample(const Job& job, Sample&& sample) {
  if (job.warm_up > 0) sample(std::int64_t{-1}, job.warm_up);
  for (std::int64_t i = 0; i < job.samples; ++i) sample(i, job.operations);
}

void keep(Area& area, std::int64_t sample, double value) {
  if (sample >= 0) area.values()[sample] = static_cast<float>(value);
}

void mark(Area& area, std::int64_t sample, std::int64_t value) {
  if (sample >= 0) area.marks()[sample].store(value, std::memory_order_release);  // [area.mark]
}

std::int64_t marked(Area& area, std::int64_t sample) { return sample < 0 ? 0 : area.marks()[sample].load(std::memory_order_acquire); }  // [area.mark]

void ping(End& end, Area& area) {
  const Job& job = area.job;
  Payloads payloads(end, job);
  each_sample(job, [&](std::int64_t sample, std::uint32_t operations) {
    const std::int64_t began_ns = now_ns();
    for (std::uint32_t i = 0; i < operations; ++i) {
      payloads.send(job.bytes);
      payloads.take(job.reply_bytes);
    }
    const std::int64_t took_ns = now_ns() - began_ns, touched_ns = payloads.touched_ns() + marked(area, sample);
    keep(area, sample, static_cast<double>(job.touch_only != 0 ? touched_ns : took_ns) / operations / job.readers);
  });
}

// The last reader holds what it received while it answers, as a node does.
void pong(End& end, Area& area) {
  const Job& job = area.job;
  Payloads payloads(end, job);
  each_sample(job, [&](std::int64_t sample, std::uint32_t operations) {
    for (std::uint32_t i = 1; i <= operations; ++i) {
      for (std::uint32_t reader = 0; reader < job.readers; ++reader) {
        if (reader > 0) end.release();
        payloads.read(payloads.receive(job.bytes), job.bytes, reader > 0);
      }
      payloads.write(job.reply_bytes);
      if (i == operations) mark(area, sample, payloads.touched_ns());
      end.send(job.reply_bytes);
      end.release();
    }
  });
}

void send_after_gaps(End& end, Area& area) {
  const Job& job = area.job;
  Payloads payloads(end, job);
  std::mt19937_64 random(job.samples);
  std::uniform_int_distribution<std::int64_t> gap_ns(job.gap_min_ns, job.gap_max_ns);
  each_sample(job, [&](std::int64_t sample, std::uint32_t operations) {
    for (std::uint32_t i = 0; i < operations; ++i) {
      const timespec gap{0, gap_ns(random)};
      ::nanosleep(&gap, nullptr);
      mark(area, sample, now_ns());
      payloads.send(job.bytes);
    }
  });
}

void receive_after_gaps(End& end, Area& area) {
  const Job& job = area.job;
  Payloads payloads(end, job);
  each_sample(job, [&](std::int64_t sample, std::uint32_t operations) {
    for (std::uint32_t i = 0; i < operations; ++i) {
      const void* const payload = payloads.receive(job.bytes);
      const std::int64_t received_ns = now_ns();
      payloads.read(payload, job.bytes);
      end.release();
      keep(area, sample, static_cast<double>(received_ns - marked(area, sample)));
    }
  });
}

void send_stream(End& end, Area& area) {
  const Job& job = area.job;
  Payloads payloads(end, job);
  each_sample(job, [&](std::int64_t sample, std::uint32_t operations) {
    const std::int64_t began_ns = now_ns();
    for (std::uint32_t i = 0; i < operations; ++i) payloads.send(job.bytes);
    payloads.take(job.reply_bytes);
    keep(area, sample, operations * 1e9 / static_cast<double>(now_ns() - began_ns));
  });
}

void receive_stream(End& end, Area& area) {
  const Job& job = area.job;
  Payloads payloads(end, job);
  each_sample(job, [&](std::int64_t, std::uint32_t operations) {
    for (std::uint32_t i = 0; i < operations; ++i) payloads.take(job.bytes);
    payloads.send(job.reply_bytes);
  });
}

void write_alone(End& end, Area& area) {
  const Job& job = area.job;
  Payloads payloads(end, job);
  each_sample(job, [&](std::int64_t sample, std::uint32_t operations) {
    const std::int64_t began_ns = now_ns();
    for (std::uint32_t i = 0; i < operations; ++i) payloads.write(job.bytes);
    keep(area, sample, operations * 1e9 / static_cast<double>(now_ns() - began_ns));
  });
}

// Both processes are there; everything else is new for each sample.
void set_up(const hawse_transport& api, const hawse_peer_setup& setup, Area& area) {
  const Job& job = area.job;
  each_sample(job, [&](std::int64_t sample, std::uint32_t operations) {
    for (std::uint32_t i = 0; i < operations; ++i) {
      meet(setup.socket);
      const std::int64_t began_ns = now_ns();
      {
        End end(api, setup);
        Payloads payloads(end, job);
        if (setup.end == 0) payloads.send(job.bytes);
        payloads.take(setup.end == 0 ? job.reply_bytes : job.bytes);
        if (setup.end == 1) payloads.send(job.reply_bytes);
        if (setup.end == 0) keep(area, sample, static_cast<double>(now_ns() - began_ns) / 2);
        meet(setup.socket);  // what end 1 sent last has arrived before it closes
      }
    }
  });
}

}  // namespace

void run_end(const hawse_transport& api, const hawse_peer_setup& setup, Area& area, int core) {
  const bool first = setup.end == 0;
  if (area.job.loop == Loop::set_up) {
    const OnCore on_core(core);
    return set_up(api, setup, area);
  }
  End end(api, setup);
  const OnCore on_core(core);  // after opening: a library's own threads may run where they like
  meet(setup.socket);
  switch (area.job.loop) {
    case Loop::ping_pong: first ? ping(end, area) : pong(end, area); break;
    case Loop::one_way: first ? send_after_gaps(end, area) : receive_after_gaps(end, area); break;
    case Loop::stream: first ? send_stream(end, area) : receive_stream(end, area); break;
    case Loop::write_alone:
      if (first) write_alone(end, area);
      break;
    case Loop::set_up: break;
  }
  meet(setup.socket);
}

}  // namespace hawse::bench
