// SPDX-License-Identifier: Apache-2.0
//
// Python nodes, processes of their own: round trip beside iceoryx2's wheel, one way and frames a second beside dora.
#include <fmt/format.h>

#include <map>
#include <memory>

#include "bench/rows/nodes/live_pipeline.hpp"
#include "bench/rows/nodes/python_peers.hpp"
#include "bench/rows/nodes/row_groups.hpp"

namespace hawse::bench {
namespace {

using nlohmann::json;

constexpr std::size_t kMiB = 1u << 20;

std::unique_ptr<LivePipeline> started(const std::string& manifest, const json& warm_up, const std::map<std::string, std::string>& variables = {}) {
  auto pipeline = std::make_unique<LivePipeline>(manifest, variables);
  pipeline->ask(warm_up);
  return pipeline;
}

// ---- round trip -------------------------------------------------------------------------------------------------------------------

struct Ends {  // who, waiting how, with what payload
  const char* key;
  Role role;
  Wait wait;
  Payload payload;
};
constexpr Ends kEnds[] = {
    {"hawse", Role::ours, Wait::adaptive, Payload::untouched},
    {"hawse, polling", Role::ours, Wait::polling, Payload::untouched},
    {"hawse, sleeping", Role::ours, Wait::sleeping, Payload::untouched},
    {"iceoryx2, polling", Role::peer, Wait::polling, Payload::untouched},
    {"iceoryx2, sleeping", Role::peer, Wait::sleeping, Payload::untouched},
    {"hawse, written", Role::ours, Wait::adaptive, Payload::written_and_read},
    {"hawse, polling, written", Role::ours, Wait::polling, Payload::written_and_read},
    {"iceoryx2, polling, written", Role::peer, Wait::polling, Payload::written_and_read},
    {"iceoryx2, sleeping, written", Role::peer, Wait::sleeping, Payload::written_and_read},
};

struct Ours {
  std::string key, file;
  std::map<std::string, std::string> variables;
};
const Ours kOurs[] = {{"hawse, written", "/ping_written.yaml", {}},
                      {"hawse, polling, written", "/ping_written.yaml", {{"spin", "5ms"}}},
                      {"hawse", "/ping.yaml", {}},
                      {"hawse, polling", "/ping.yaml", {{"spin", "5ms"}}},  // far above a round trip, and over soon after a burst
                      {"hawse, sleeping", "/ping.yaml", {{"spin", "0ns"}}}};

void measure_round_trip(Pass& pass) {
  const std::string nodes = lay_out_nodes(pass.folder());
  const std::size_t count = pass.samples(200, 1000), warm_up = 50;
  // Packages first: a session that can't be prepared ends every process that this one has started so far.
  std::map<std::string, std::unique_ptr<LivePipeline>> ours;
  for (const auto& [key, file, variables] : kOurs)
    ours[key] = made_for(pass, {key}, [&] { return started(nodes + file, {{"count", warm_up}, {"bytes", kMiB}}, variables); });
  const auto peer = made_for(pass, {"iceoryx2, polling", "iceoryx2, sleeping", "iceoryx2, polling, written", "iceoryx2, sleeping, written"}, [&] {
    auto wheel = std::make_unique<Iceoryx2Wheel>(nodes, pass.folder() + "/iceoryx2");
    wheel->round_trips(warm_up, kMiB, false, false);
    return wheel;
  });
  std::vector<std::function<void()>> calls;
  for (const Ends& ends : kEnds) {
    calls.emplace_back([&] {
      const bool touches = ends.payload == Payload::written_and_read;
      if (ends.role == Role::peer && peer) {
        pass.version(ends.key, peer->versions());
        pass.measure(ends.key, [&] { return peer->round_trips(count, kMiB, ends.wait == Wait::polling, touches); });
      } else if (ends.role == Role::ours && ours[ends.key]) {
        pass.measure(ends.key, [&] { return ours[ends.key]->ask({{"count", count}, {"bytes", kMiB}}); });
      }
    });
  }
  pass.interleave(std::move(calls));
}

RowSpec round_trip() {
  RowSpec spec;
  spec.row = {.id = "nodes/python-round-trip-1mib",
              .group = "Python nodes",
              .title = "Python → Python → Python, 1 MiB",
              .measured = "Round trip between two Python processes, timed by the first from before it builds the frame to the receipt of the answer, a frame of the same size. Untouched: one word is "
                          "written and checked. Written: NumPy fills every frame and sums it at the other end, both ways.",
              .better = Better::less,
              .targets = {{"≤ iceoryx2's wheel, polling", "hawse, polling", Statistic::median, Target::Relation::at_most, 1, "iceoryx2, polling"},
                          {"sleeping: ≤ iceoryx2's wheel, sleeping", "hawse, sleeping", Statistic::median, Target::Relation::at_most, 1, "iceoryx2, sleeping"}},
              .missing = "",
              .series = {},
              .facts = {}};
  for (const Ends& ends : kEnds)
    spec.series.push_back({.key = ends.key, .variant = "", .role = ends.role, .unit = "ns", .wait = ends.wait, .payload = ends.payload, .x = {}, .x_name = "", .phase_of = ""});
  spec.placement = true;
  spec.seconds_a_pass = 1;
  spec.measure = measure_round_trip;
  return spec;
}

// ---- one way ----------------------------------------------------------------------------------------------------------------------

struct Size {
  const char* name;
  std::size_t bytes;
  std::int64_t gap_ns;
  std::size_t quick, full;  // frames a pass
};
constexpr Size kSizes[] = {{"64 B", 64, 1'000'000, 50, 200}, {"1 MiB", kMiB, 2'000'000, 40, 100}, {"40 MiB", 40 * kMiB, 250'000'000, 3, 6}};
constexpr std::uint64_t kLargerPool_bytes = 512 * kMiB;
const std::string kLarger = "dora, larger pool 40 MiB";

std::string ours(const char* size) { return fmt::format("hawse {}", size); }
std::string doras(const char* size) { return fmt::format("dora {}", size); }

// The first frames of a size touch their memory for the first time: in ours, too, these aren't counted.
DoraFlow& warm(DoraFlow& flow, const Size& size) {
  flow.ask(2, size.bytes, size.gap_ns);
  return flow;
}

std::size_t frames(const Pass& pass, const Size& size) { return pass.samples(size.quick, size.full); }

void measure_ours(Pass& pass, const std::string& nodes) {
  const auto stream = made_for(pass, {ours("64 B"), ours("1 MiB"), ours("40 MiB")},
                               [&] { return started(nodes + "/stream.yaml", {{"count", 3}, {"bytes", kSizes[2].bytes}, {"gap_ns", 1'000'000}}, {{"spin", "0ns"}}); });
  if (!stream) return;
  for (const Size& size : kSizes)
    pass.measure(ours(size.name), [&] { return stream->ask({{"count", frames(pass, size)}, {"bytes", size.bytes}, {"gap_ns", size.gap_ns}}); });
}

// One dataflow at a time: two find each other over the network and slow each other down.
void measure_dora(Pass& pass, const std::string& nodes) {
  const auto flow = made_for(pass, {doras("64 B"), doras("1 MiB"), doras("40 MiB")}, [&] { return std::make_unique<DoraFlow>(nodes, pass.folder() + "/dora"); });
  if (!flow) return;
  for (const Size& size : kSizes) {
    pass.version(doras(size.name), flow->versions());
    pass.measure(doras(size.name), [&] { return warm(*flow, size).ask(frames(pass, size), size.bytes, size.gap_ns).samples; });
  }
}

void measure_larger_pool(Pass& pass, const std::string& nodes) {
  const auto flow = made_for(pass, {kLarger}, [&] { return std::make_unique<DoraFlow>(nodes, pass.folder() + "/dora-larger", kLargerPool_bytes); });
  if (!flow) return;
  pass.version(kLarger, flow->versions());
  pass.measure(kLarger, [&] { return warm(*flow, kSizes[2]).ask(frames(pass, kSizes[2]), kSizes[2].bytes, kSizes[2].gap_ns).samples; });
}

void measure_one_way(Pass& pass) {
  const std::string nodes = lay_out_nodes(pass.folder());
  pass.interleave({[&] { measure_ours(pass, nodes); }, [&] { measure_dora(pass, nodes); }, [&] { measure_larger_pool(pass, nodes); }});
}

RowSpec one_way() {
  RowSpec spec;
  spec.row = {.id = "nodes/python-one-way",
              .group = "Python nodes",
              .title = "Python → Python, sleeping, one way",
              .measured = "From just before the sending of a frame in one Python process to the first line that sees it in another; 64 B a frame a millisecond, 1 MiB every 2 ms, 40 MiB every 250 ms; the "
                          "same pauses and the same clock for dora. Two words of each frame are written and checked.",
              .better = Better::less,
              .targets = {},
              .missing = "",
              .series = {},
              .facts = {}};
  for (const Size& size : kSizes) {
    const auto add = [&](const std::string& key, const char* variant, Role role) {
      spec.series.push_back({.key = key, .variant = variant, .role = role, .unit = "ns", .wait = Wait::sleeping, .payload = Payload::untouched, .x = static_cast<double>(size.bytes),
                             .x_name = "frame bytes", .phase_of = ""});
    };
    add(ours(size.name), "hawse", Role::ours);
    add(doras(size.name), "dora", Role::peer);
    if (size.bytes == kSizes[2].bytes) add(kLarger, "dora, larger pool", Role::peer);
    spec.row.targets.push_back({fmt::format("{}: ≤ 1/20 of dora", size.name), ours(size.name), Statistic::median, Target::Relation::at_most, 0.05, doras(size.name)});
  }
  spec.placement = true;
  spec.seconds_a_pass = 1.6;
  spec.measure = measure_one_way;
  return spec;
}

// ---- frames a second --------------------------------------------------------------------------------------------------------------

struct Rate {
  const char* name;
  std::size_t bytes, count, dora_count;  // frames a burst
  double target;
};
constexpr Rate kRates[] = {{"64 B", 64, 20'000, 5'000, 300e3}, {"1 MiB", kMiB, 10'000, 500, 100e3}};

// Over all passes of a run: the last fact of a name stands.
struct Lost {
  std::size_t frames = 0, of = 0;
};
using LostBySeries = std::map<std::string, Lost>;

void tell_lost(Pass& pass, LostBySeries& all, const std::string& key, double frames, std::size_t of, bool judged) {
  Lost& lost = all[key];
  lost.frames += static_cast<std::size_t>(frames);
  lost.of += of;
  const auto space = key.find(' ');
  pass.fact({.what = "frames lost, " + key.substr(space + 1), .variant = key.substr(0, space), .seen = fmt::format("{} of {}", lost.frames, lost.of),
             .ok = judged ? std::optional<bool>(lost.frames == 0) : std::nullopt});
}

void measure_our_rates(Pass& pass, const std::string& nodes, LostBySeries& lost) {
  const auto stream = made_for(pass, {ours("64 B"), ours("1 MiB")}, [&] { return started(nodes + "/stream.yaml", {{"count", 1000}, {"bytes", kMiB}, {"gap_ns", 0}}); });
  if (!stream) return;
  for (std::size_t i = 0; i < pass.samples(2, 5); ++i) {
    for (const Rate& rate : kRates) {
      pass.measure(ours(rate.name), [&] {
        const auto answer = stream->ask({{"count", rate.count}, {"bytes", rate.bytes}, {"gap_ns", 0}});
        tell_lost(pass, lost, ours(rate.name), answer.at(1), rate.count, true);
        return std::vector<float>{answer.at(0)};
      });
    }
  }
}

void measure_doras_rates(Pass& pass, const std::string& nodes, LostBySeries& lost) {
  const auto flow = made_for(pass, {doras("64 B"), doras("1 MiB")}, [&] { return std::make_unique<DoraFlow>(nodes, pass.folder() + "/dora"); });
  if (!flow) return;
  for (const Rate& rate : kRates) {
    pass.version(doras(rate.name), flow->versions());
    pass.measure(doras(rate.name), [&] {
      flow->ask(100, rate.bytes, 0);
      const DoraAnswer answer = flow->ask(rate.dora_count, rate.bytes, 0);
      tell_lost(pass, lost, doras(rate.name), static_cast<double>(answer.lost), rate.dora_count, false);
      return answer.samples;
    });
  }
}

void measure_rate(Pass& pass, LostBySeries& lost) {
  const std::string nodes = lay_out_nodes(pass.folder());
  pass.interleave({[&] { measure_our_rates(pass, nodes, lost); }, [&] { measure_doras_rates(pass, nodes, lost); }});
}

RowSpec rate() {
  RowSpec spec;
  spec.row = {.id = "nodes/python-rate",
              .group = "Python nodes",
              .title = "Python frames a second",
              .measured = "One Python process sends as fast as the edge takes frames (queue 64), another counts them; by its clock, from before the first frame to after the last. The payload of ours "
                          "isn't touched; dora copies it into its shared memory. Frames lost are among the facts below.",
              .better = Better::more,
              .targets = {},
              .missing = "",
              .series = {},
              .facts = {}};
  for (const Rate& each : kRates) {
    const auto add = [&](const std::string& key, const char* variant, Role role, std::size_t count) {
      spec.series.push_back({.key = key, .variant = variant, .role = role, .unit = "1/s", .wait = role == Role::ours ? Wait::adaptive : Wait::sleeping, .payload = Payload::untouched, .x = static_cast<double>(each.bytes),
                             .x_name = "frame bytes", .phase_of = "", .operations_per_sample = static_cast<std::uint32_t>(count)});
    };
    add(ours(each.name), "hawse", Role::ours, each.count);
    add(doras(each.name), "dora", Role::peer, each.dora_count);
    spec.row.targets.push_back({fmt::format("{}: ≥ {:.0f} k/s", each.name, each.target / 1e3), ours(each.name), Statistic::median, Target::Relation::at_least, each.target, ""});
  }
  spec.placement = true;
  spec.seconds_a_pass = 1;
  spec.measure = [lost = std::make_shared<LostBySeries>()](Pass& pass) { measure_rate(pass, *lost); };
  return spec;
}

}  // namespace

void add_python_rows(std::vector<RowSpec>& rows) {
  rows.push_back(round_trip());
  rows.push_back(one_way());
  rows.push_back(rate());
}

}  // namespace hawse::bench
