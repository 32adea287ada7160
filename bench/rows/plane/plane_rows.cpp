// SPDX-License-Identifier: Apache-2.0
//
// A row is a list of pairs: which transport does which job, and how often. Everything else is alike.
#include "bench/rows/plane/plane_rows.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "bench/peers/pair.hpp"

namespace hawse::bench {
namespace {

constexpr std::uint64_t kKiB = 1024, kMiB = 1024 * kKiB;

// One series: its job, how many samples a pass takes of it, and what a sample is multiplied with to be in the series' unit.
struct Measured {
  SeriesSpec series;
  PairJob job;
  std::size_t quick_samples = 1, full_samples = 1;
  double factor = 1;
};

Wait wait_of(const PairJob& job) {
  return job.wait == HAWSE_PEER_POLLING ? Wait::polling : job.wait == HAWSE_PEER_SLEEPING ? Wait::sleeping : Wait::adaptive;
}
Payload payload_of(const PairJob& job) {
  return job.bytes == 0 ? Payload::none : job.touch == Touch::none ? Payload::untouched : Payload::written_and_read;
}

Measured measured(std::string key, Role role, std::string unit, PairJob job, std::size_t quick, std::size_t full, double factor = 1) {
  SeriesSpec series{.key = std::move(key),
                    .variant = "",
                    .role = role,
                    .unit = std::move(unit),
                    .wait = wait_of(job),
                    .payload = payload_of(job),
                    .x = {},
                    .x_name = "",
                    .phase_of = "",
                    .operations_per_sample = job.operations};
  return {std::move(series), std::move(job), quick, full, factor};
}

PairJob with(PairJob job, std::string peer) {
  job.peer = std::move(peer);
  return job;
}

// Floors that carry no payload.
PairJob bare(PairJob job, std::string peer) {
  job.bytes = job.reply_bytes = 0;
  job.touch = Touch::none;
  return with(std::move(job), std::move(peer));
}

void take(Pass& pass, const Measured& each) {
  pass.measure(each.series.key, [&] {
    PairJob job = each.job;
    job.samples = pass.samples(each.quick_samples, each.full_samples);
    PairResult result = run_pair(job);
    if (!result.version.empty()) pass.version(each.series.key, result.version);
    for (float& value : result.values) value = static_cast<float>(value * each.factor);
    return std::move(result.values);
  });
}

Row row_named(std::string id, std::string title, std::string measured, std::vector<Target> targets, Better better = Better::less) {
  Row row;
  row.id = std::move(id);
  row.group = "The plane, between two C++ processes";
  row.title = std::move(title);
  row.measured = std::move(measured);
  row.better = better;
  row.targets = std::move(targets);
  return row;
}

RowSpec row_of(Row row, std::vector<Measured> list, double seconds_a_pass) {
  RowSpec spec;
  spec.row = std::move(row);
  for (const Measured& each : list) spec.series.push_back(each.series);
  spec.placement = true;
  spec.seconds_a_pass = seconds_a_pass;
  spec.measure = [list = std::move(list)](Pass& pass) {
    std::vector<std::function<void()>> calls;
    for (const Measured& each : list) calls.emplace_back([&pass, &each] { take(pass, each); });
    pass.interleave(std::move(calls));
  };
  return spec;
}

Target at_most(std::string text, double limit, std::string against, std::string of = "ours") {
  return {.text = std::move(text),
          .of = std::move(of),
          .statistic = Statistic::median,
          .relation = Target::Relation::at_most,
          .limit = limit,
          .against = std::move(against)};
}
Target at_least(std::string text, double limit, std::string against) {
  Target target = at_most(std::move(text), limit, std::move(against));
  target.relation = Target::Relation::at_least;
  return target;
}

RowSpec edge_setup() {
  const PairJob job{.loop = Loop::set_up, .touch = Touch::written_and_read, .warm_up = 2};
  Row row = row_named("plane/edge-setup", "Edge set-up",
                      "Two processes that run already make an edge each way: shared memory and doorbells made, passed over a socket, mapped, sealed, "
                      "until the first frame of 64 B is "
                      "there and its answer back; divided by the two edges. iceoryx2: from its node to the first sample, likewise.",
                      {at_most("≤ 100 µs an edge", 100'000, "")});
  return row_of(
      std::move(row),
      {measured("ours", Role::ours, "ns", with(job, "hawse"), 20, 60), measured("iceoryx2", Role::peer, "ns", with(job, "iceoryx2"), 20, 60)}, 0.5);
}

PairJob handover(std::uint64_t bytes) { return {.operations = 500, .warm_up = 2000, .bytes = bytes}; }

RowSpec handover_1mb() {
  const PairJob job = handover(1'000'000);
  Row row = row_named("plane/handover-1mb", "1 MB handed over",
                      "Half of a round trip between two processes on two cores, both polling: a frame of 1,000,000 B one way, one of 64 B back, "
                      "payloads neither written nor read. "
                      "A sample is the mean of 500.",
                      {at_most("≤ 0.4 × iceoryx2", 0.4, "iceoryx2")});
  return row_of(std::move(row),
                {measured("ours", Role::ours, "ns", with(job, "hawse"), 100, 200, 0.5),
                 measured("iceoryx2", Role::peer, "ns", with(job, "iceoryx2"), 100, 200, 0.5),
                 measured("two lines", Role::floor, "ns", bare(job, "two_lines"), 100, 200, 0.5)},
                0.6);
}

std::string size_text(std::uint64_t bytes) {
  if (bytes >= kMiB) return fmt::format("{} MiB", bytes / kMiB);
  return bytes >= kKiB ? fmt::format("{} KiB", bytes / kKiB) : fmt::format("{} B", bytes);
}

Measured grown(Measured each, std::string variant, double x, std::string x_name) {
  each.series.variant = std::move(variant);
  each.series.x = x;
  each.series.x_name = std::move(x_name);
  return each;
}

RowSpec handover_by_size() {
  std::vector<Measured> list;
  for (const std::uint64_t bytes : {std::uint64_t{64}, 4 * kKiB, 64 * kKiB, kMiB, 16 * kMiB, 256 * kMiB}) {
    for (const auto& [peer, name, role] : {std::tuple{"hawse", "ours", Role::ours}, std::tuple{"iceoryx2", "iceoryx2", Role::peer}})
      list.push_back(grown(measured(fmt::format("{} {}", name, size_text(bytes)), role, "ns", with(handover(bytes), peer), 40, 100, 0.5), name,
                           static_cast<double>(bytes), "frame bytes"));
    PairJob asleep = handover(bytes);
    asleep.wait = HAWSE_PEER_SLEEPING;
    asleep.one_core = true;
    asleep.operations = asleep.warm_up = 100;
    for (const auto& [peer, name, role] : {std::tuple{"hawse", "ours, sleeping", Role::ours}, std::tuple{"futex", "futex", Role::floor}})
      list.push_back(grown(measured(fmt::format("{} {}", name, size_text(bytes)), role, "ns", role == Role::floor ? bare(asleep, peer) : with(asleep, peer), 20, 50, 0.5),
                           name, static_cast<double>(bytes), "frame bytes"));
  }
  const auto within = [](std::string text, std::string first, std::string last) {
    Target target = at_most(std::move(text), 0.1, std::move(first), std::move(last));
    target.relation = Target::Relation::within;
    return target;
  };
  Row row = row_named("plane/handover-by-size", "Hand-over by frame size",
                      "As 'plane/handover-1mb', frames of 64 B to 256 MiB. Arenas are allocated before; the payload's pages, as nobody touches them, "
                      "are not in the page tables. 'sleeping': whoever waits sleeps and is woken, both on one core, a sample is the mean of 100; its floor is a futex word "
                      "each way, which carries nothing and so has one size.",
                      {within("the same from 64 B to 256 MiB within 10 %", "ours 64 B", "ours 256 MiB"),
                       within("sleeping: the same from 64 B to 256 MiB within 10 %", "ours, sleeping 64 B", "ours, sleeping 256 MiB")});
  return row_of(std::move(row), std::move(list), 3.5);
}

RowSpec round_trip_polling() {
  const PairJob job{.touch = Touch::written_and_read, .operations = 100, .warm_up = 5000};
  Row row = row_named("plane/round-trip-64-polling", "Round trip of 64 B, polling",
                      "64 B there and back between two processes on two cores, both polling, every byte written and compared. A sample is the mean "
                      "of 100. Floors: a counter "
                      "in a cache line each way, without payload; a bare ring.",
                      {at_most("≤ 1.5 × two cache lines", 1.5, "two lines"), at_most("≤ 0.3 × iceoryx2", 0.3, "iceoryx2")});
  return row_of(
      std::move(row),
      {measured("ours", Role::ours, "ns", with(job, "hawse"), 200, 1000), measured("iceoryx2", Role::peer, "ns", with(job, "iceoryx2"), 200, 1000),
       measured("two lines", Role::floor, "ns", bare(job, "two_lines"), 200, 1000),
       measured("bare ring", Role::floor, "ns", with(job, "ring"), 200, 1000)},
      0.8);
}

RowSpec round_trip_sleeping() {
  const PairJob job{.wait = HAWSE_PEER_SLEEPING, .touch = Touch::written_and_read, .one_core = true, .warm_up = 500};
  PairJob across = job;
  across.one_core = false;
  Row row = row_named("plane/round-trip-64-sleeping", "Round trip of 64 B, sleeping",
                      "64 B there and back between two processes; whoever waits sleeps and is woken, without spinning before. Every byte written and "
                      "compared; single "
                      "operations. Both on one core, so that it is the software that is measured; 'two cores': the waking of a core that sleeps is "
                      "in it, too. Floor: a futex "
                      "word each way, without payload.",
                      {at_most("≤ 1.1 × futex", 1.1, "futex"), at_most("≤ 0.55 × iceoryx2", 0.55, "iceoryx2"),
                       at_most("≤ 1.1 × futex, two cores", 1.1, "futex, two cores", "ours, two cores")});
  const auto series = [&](std::string name, Role role, std::string peer) {
    return measured(std::move(name), role, "ns", with(job, std::move(peer)), 2000, 5000);
  };
  return row_of(std::move(row),
                {series("ours", Role::ours, "hawse"), series("iceoryx2", Role::peer, "iceoryx2"), series("ZeroMQ", Role::peer, "zeromq"),
                 series("Unix socket", Role::peer, "unix_socket"), measured("futex", Role::floor, "ns", bare(job, "futex"), 2000, 5000),
                 measured("ours, two cores", Role::ours, "ns", with(across, "hawse"), 1000, 3000),
                 measured("iceoryx2, two cores", Role::peer, "ns", with(across, "iceoryx2"), 1000, 3000),
                 measured("futex, two cores", Role::floor, "ns", bare(across, "futex"), 1000, 3000)},
                1.0);
}

RowSpec one_way_after_idle() {
  const PairJob job{.loop = Loop::one_way,
                    .wait = HAWSE_PEER_SLEEPING,
                    .touch = Touch::written_and_read,
                    .warm_up = 5,
                    .gap_min_ns = 1'000'000,
                    .gap_max_ns = 5'000'000};
  Row row = row_named("plane/one-way-after-idle", "One way after an idle gap",
                      "64 B one way after a random gap of 1 to 5 ms in which both processes sleep: from before the frame is allocated to its "
                      "receipt, by the one clock of the machine. 'adaptive spin': as a node waits that nobody configured (20 µs), which learns from such gaps "
                      "not to look at all; 'spin: 10ms': allowed to look for longer than the gaps are.",
                      {at_most("≤ 1.2 × futex", 1.2, "futex"), at_most("with adaptive spin ≤ 1.2 × futex, too", 1.2, "futex", "ours, adaptive spin"),
                       at_most("with spin: 10ms better than asleep", 1, "ours", "ours, spin: 10ms")});
  PairJob spins = with(job, "hawse");
  spins.wait = HAWSE_PEER_ADAPTIVE;
  PairJob spins_longer = spins;
  spins_longer.spin_ns = 10'000'000;
  return row_of(
      std::move(row),
      {measured("ours", Role::ours, "ns", with(job, "hawse"), 60, 200), measured("iceoryx2", Role::peer, "ns", with(job, "iceoryx2"), 60, 200),
       measured("ours, adaptive spin", Role::ours, "ns", spins, 60, 200), measured("ours, spin: 10ms", Role::ours, "ns", spins_longer, 60, 200),
       measured("futex", Role::floor, "ns", bare(job, "futex"), 60, 200)},
      1.5);
}

RowSpec round_trip_written() {
  const PairJob job{.touch = Touch::written_and_read, .warm_up = 20, .bytes = kMiB, .reply_bytes = kMiB};
  PairJob asleep = job, alone = with(job, "touch");
  asleep.wait = HAWSE_PEER_SLEEPING;
  alone.touch_only = true;
  Row row = row_named("plane/round-trip-1mib-written", "Round trip of 1 MiB, written and read",
                      "1 MiB there and back between two processes on two cores; each writes every byte of what it sends and compares every byte of "
                      "what it gets, all with the same two loops. "
                      "Floor: the two writings and two readings alone, added up, on one buffer each way.",
                      {at_most("≤ 1.02 × the touching alone", 1.02, "touching alone")});
  return row_of(
      std::move(row),
      {measured("ours", Role::ours, "ns", with(job, "hawse"), 200, 400), measured("iceoryx2", Role::peer, "ns", with(job, "iceoryx2"), 200, 400),
       measured("Unix socket", Role::peer, "ns", with(asleep, "unix_socket"), 200, 400),
       measured("ZeroMQ", Role::peer, "ns", with(asleep, "zeromq"), 200, 400), measured("touching alone", Role::floor, "ns", alone, 200, 400)},
      1.0);
}

RowSpec rate_64() {
  const PairJob job{.loop = Loop::stream, .touch = Touch::written_and_read, .depth = 256, .operations = 20'000, .warm_up = 20'000};
  PairJob asleep = job;
  asleep.wait = HAWSE_PEER_SLEEPING;
  Row row = row_named("plane/rate-64", "Small frames a second",
                      "20,000 frames of 64 B from one process to another on another core, none lost, up to 256 under way, each written, compared and "
                      "counted in order; from the first "
                      "allocation to the last one's acknowledgement.",
                      {at_least("≥ 10 M/s between processes", 10e6, "")}, Better::more);
  return row_of(
      std::move(row),
      {measured("ours", Role::ours, "1/s", with(job, "hawse"), 10, 30), measured("iceoryx2", Role::peer, "1/s", with(job, "iceoryx2"), 10, 30),
       measured("ZeroMQ", Role::peer, "1/s", with(asleep, "zeromq"), 10, 30), measured("bare ring", Role::floor, "1/s", with(job, "ring"), 10, 30)},
      1.0);
}

RowSpec throughput() {
  const PairJob job{.loop = Loop::stream, .touch = Touch::written, .operations = 100, .warm_up = 50, .bytes = kMiB};
  PairJob all_read = with(job, "hawse"), alone = with(job, "touch");
  all_read.touch = Touch::written_and_read;
  alone.loop = Loop::write_alone;
  const auto factor = static_cast<double>(kMiB);
  Row row = row_named("plane/throughput-1mib", "Throughput, 1 MiB frames, written",
                      "100 frames of 1 MiB from one process to another on another core: every byte written, one word in 512 KiB compared by the "
                      "reader ('every byte read': all of them). "
                      "Floor: the same loop writing one buffer of 1 MiB again and again, sending nothing.",
                      {at_least("≥ 95 % of what the writing alone allows", 0.95, "writing alone")}, Better::more);
  return row_of(std::move(row),
                {measured("ours", Role::ours, "B/s", with(job, "hawse"), 8, 20, factor),
                 measured("ours, every byte read", Role::ours, "B/s", all_read, 8, 20, factor),
                 measured("iceoryx2", Role::peer, "B/s", with(job, "iceoryx2"), 8, 20, factor),
                 measured("writing alone", Role::floor, "B/s", alone, 8, 20, factor)},
                0.8);
}

RowSpec readers() {
  std::vector<Measured> list;
  for (const std::uint32_t count : {1u, 2u, 4u, 8u, 16u, 32u, 64u}) {
    PairJob job{.readers = count, .operations = 100, .warm_up = 200, .bytes = 64 * kKiB};
    for (const auto& [peer, name, role] : {std::tuple{"hawse", "ours", Role::ours}, std::tuple{"iceoryx2", "iceoryx2", Role::peer}})
      list.push_back(grown(measured(fmt::format("{} {}", name, count), role, "ns", with(job, peer), 40, 100), name, count, "readers"));
  }
  Row row = row_named("plane/readers", "Readers of one port",
                      "A frame of 64 KiB from one process to 1 to 64 readers of its port, and an answer of 64 B from the last: a round trip divided "
                      "by the readers, polling, payload untouched. "
                      "The readers are links of their own in one other process, read in turn. A sample is the mean of 100.",
                      {at_most("cost a reader ≤ 1.2 × of the first", 1.2, "ours 1", "ours 64")});
  return row_of(std::move(row), std::move(list), 1.5);
}

}  // namespace

void add_plane_rows(std::vector<RowSpec>& rows) {
  for (const auto make : {edge_setup, handover_1mb, handover_by_size, round_trip_polling, round_trip_sleeping, one_way_after_idle, round_trip_written,
                          rate_64, throughput, readers})
    rows.push_back(make());
}

}  // namespace hawse::bench
