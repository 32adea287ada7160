// SPDX-License-Identifier: Apache-2.0
#include "bench/report/sample_run.hpp"

#include <cmath>
#include <random>

namespace hawse::bench {
namespace {

constexpr double kUs = 1e3, kMs = 1e6, kMiB = 1048576;

// Samples around a median, skewed to the right with a few far ones, as latencies are.
class Maker {
 public:
  Series series(SeriesSpec spec, double median, std::size_t samples, Placement placement = Placement::any, double spread = 0.05) {
    Series made{.spec = std::move(spec), .version = {}, .missing = {}, .batches = {}};
    for (std::uint32_t pass = 0; pass < 5; ++pass)
      made.batches.push_back(batch(pass, placement, median * (1 + 0.01 * normal_(random_)), samples, spread));
    return made;
  }
  // The same in both placements: what goes between cores takes longer in FAR; and a pass during which the cores moved.
  Series between_cores(SeriesSpec spec, double near, double far, std::size_t samples = 400, double spread = 0.06) {
    Series made = series(std::move(spec), near, samples, Placement::near, spread);
    for (std::uint32_t pass = 5; pass < 8; ++pass) made.batches.push_back(batch(pass, Placement::far, far, samples, spread));
    made.batches.push_back(batch(8, Placement::moved, (near + far) / 2, samples, spread));
    return made;
  }

 private:
  Batch batch(std::uint32_t pass, Placement placement, double median, std::size_t samples, double spread) {
    Batch made{pass, placement, {}};
    for (std::size_t i = 0; i < samples; ++i) {
      const double far_out = unit_(random_) < 0.01 ? 1 + 4 * unit_(random_) : 1;
      made.values.push_back(static_cast<float>(median * std::exp(spread * std::abs(normal_(random_)) - spread / 2) * far_out));
    }
    return made;
  }
  std::mt19937 random_{7};
  std::normal_distribution<double> normal_;
  std::uniform_real_distribution<double> unit_;
};

SeriesSpec spec(std::string key, Role role, std::string unit) {
  SeriesSpec made;
  made.key = std::move(key);
  made.role = role;
  made.unit = std::move(unit);
  return made;
}

SeriesSpec ours(std::string key, std::string unit = "ns") { return spec(std::move(key), Role::ours, std::move(unit)); }
SeriesSpec peer(std::string key, std::string unit = "ns") { return spec(std::move(key), Role::peer, std::move(unit)); }
SeriesSpec base(std::string key, std::string unit = "ns") { return spec(std::move(key), Role::floor, std::move(unit)); }

SeriesSpec as(SeriesSpec made, Wait wait, Payload payload, std::uint32_t operations = 1) {
  made.wait = wait;
  made.payload = payload;
  made.operations_per_sample = operations;
  return made;
}

SeriesSpec at(SeriesSpec made, double x, std::string x_name) {
  made.variant = made.key;
  made.key += " " + std::to_string(static_cast<long long>(x));
  made.x = x;
  made.x_name = std::move(x_name);
  return made;
}

SeriesSpec phase(SeriesSpec made, const std::string& of) {
  made.key = of + ": " + made.key;
  made.phase_of = of;
  return made;
}

Series versioned(Series series, std::string version) {
  series.version = std::move(version);
  return series;
}

Series missing(SeriesSpec spec, std::string why) { return {.spec = std::move(spec), .version = {}, .missing = std::move(why), .batches = {}}; }

Target at_most(std::string text, std::string of, double limit, std::string against = "") {
  return {.text = std::move(text),
          .of = std::move(of),
          .statistic = Statistic::median,
          .relation = Target::Relation::at_most,
          .limit = limit,
          .against = std::move(against)};
}

Target at_least(std::string text, std::string of, double limit, std::string against = "") {
  Target made = at_most(std::move(text), std::move(of), limit, std::move(against));
  made.relation = Target::Relation::at_least;
  return made;
}

Row row(std::string id, std::string group, std::string title, std::string measured, std::vector<Target> targets = {}) {
  Row made;
  made.id = std::move(id);
  made.group = std::move(group);
  made.title = std::move(title);
  made.measured = std::move(measured);
  made.targets = std::move(targets);
  return made;
}

void add_starts(std::vector<Row>& rows, Maker& make) {
  Row ready = row("start/session", "Start-up", "Native executor ready", "From asking for a session to one that can start nodes.",
                  {at_most("≤ 15 µs", "process", 15 * kUs)});
  ready.series = {make.series(ours("process"), 11.2 * kUs, 100)};
  rows.push_back(ready);

  Row python =
      row("start/python-native", "Start-up", "Native Python node: start to ready", "From the call that starts the node to the end of its setup().",
          {at_most("≤ 2 ms from the zygote", "warm", 2 * kMs),
           at_most("≤ 1.15 × python -c \"import numpy\", cold", "cold", 1.15, "python -c \"import numpy\"")});
  python.series = {make.series(ours("warm"), 1.42 * kMs, 40), make.series(ours("cold"), 96 * kMs, 10),
                   make.series(base("python -c \"import numpy\""), 77 * kMs, 10)};
  rows.push_back(python);

  Row cold = row("start/container-cold", "Start-up", "Container node, image cached, cold: start to ready",
                 "From the request to the end of setup(), with its phases as the node's own clock saw them.",
                 {at_most("≤ 1.3 × docker run true", "container cold", 1.3, "docker run true")});
  cold.series = {make.series(ours("container cold"), 262 * kMs, 8), versioned(make.series(peer("docker run true"), 231 * kMs, 8), "20.10.24")};
  const std::pair<const char*, double> phases[] = {
      {"create", 21}, {"namespaces and layers", 148}, {"interpreter", 18}, {"imports", 66}, {"setup()", 4}};
  for (const auto& [name, ms] : phases) cold.series.push_back(make.series(phase(ours(name), "container cold"), ms * kMs, 8));
  cold.series.push_back(make.series(ours("container warm"), 3.9 * kMs, 20));
  for (const auto& [name, ms] : {std::pair{"fork", 0.9}, std::pair{"connect", 0.5}, std::pair{"setup()", 2.4}})
    cold.series.push_back(make.series(phase(ours(name), "container warm"), ms * kMs, 20));
  rows.push_back(cold);

  Row first = row("start/first-frame", "Start-up", "hawse run to the first frame out, two Python processes",
                  "From execve of the command to the first frame at the sink.", {at_most("≤ 1/5 of dora", "process", 0.2, "dora")});
  first.series = {make.series(ours("process"), 131 * kMs, 10), missing(peer("dora"), "dora isn't installed: no module named 'dora'")};
  rows.push_back(first);
}

void add_hand_over(std::vector<Row>& rows, Maker& make) {
  Row sizes = row("plane/size", "Edges and hand-over", "Frames handed over, by size",
                  "One way between two processes, from send() to the frame in the reader's hands.",
                  {at_most("1 MiB ≤ 0.4 × iceoryx2", "process 1048576", 0.4, "iceoryx2 1048576")});
  for (double bytes = 64; bytes <= 256 * kMiB; bytes *= 8) {
    const auto as_size = [&](SeriesSpec s) { return at(as(std::move(s), Wait::polling, Payload::untouched, 100), bytes, "frame bytes"); };
    sizes.series.push_back(make.between_cores(as_size(ours("process")), 68, 240, 60));
    sizes.series.push_back(make.between_cores(as_size(ours("container")), 69, 243, 60));
    sizes.series.push_back(versioned(make.between_cores(as_size(peer("iceoryx2")), 205, 790, 60), "0.7.0"));
    sizes.series.push_back(versioned(make.series(as_size(peer("Unix socket")), 2.1 * kUs + bytes * 0.11, 40, Placement::near), "Linux 6.1"));
  }
  // In order of x within each variant, as growth rows declare them; 1 MiB is no power of eight times 64, so it stands for itself.
  for (const auto& [name, ns] : {std::pair{"process", 68.}, std::pair{"iceoryx2", 204.}}) {
    SeriesSpec one = at(as(spec(name, *name == 'p' ? Role::ours : Role::peer, "ns"), Wait::polling, Payload::untouched, 100), kMiB, "frame bytes");
    sizes.series.push_back(make.between_cores(one, ns, ns * 3.6, 60));
  }
  rows.push_back(sizes);

  Row setup = row("plane/edge", "Edges and hand-over", "Edge set up", "Memory files made, passed and mapped at both ends.",
                  {at_most("≤ 100 µs an edge", "process", 100 * kUs)});
  setup.series = {make.series(ours("process"), 74 * kUs, 60), versioned(make.series(peer("iceoryx2"), 890 * kUs, 20), "0.7.0")};
  rows.push_back(setup);
}

void add_latency(std::vector<Row>& rows, Maker& make) {
  Row polling = row("plane/latency-polling", "Latency", "Round trip, 64 B, polling", "Two processes, one frame there and one back.",
                    {at_most("≤ 1.5 × two cache lines", "process", 1.5, "two cache lines"), at_most("≤ 0.3 × iceoryx2", "process", 0.3, "iceoryx2")});
  const auto poll = [](SeriesSpec s) { return as(std::move(s), Wait::polling, Payload::written_and_read); };
  polling.series = {make.between_cores(poll(ours("process")), 142, 610), make.between_cores(poll(ours("container")), 144, 612),
                    versioned(make.between_cores(poll(peer("iceoryx2")), 640, 2100), "0.7.0"),
                    make.between_cores(poll(base("two cache lines")), 121, 520, 400, 0.03)};
  rows.push_back(polling);

  Row sleeping = row("plane/latency-sleeping", "Latency", "Round trip, 64 B, sleeping", "Two processes that sleep until a frame comes.",
                     {at_most("≤ 1.1 × futex", "process", 1.1, "futex")});
  const auto sleep = [](SeriesSpec s) { return as(std::move(s), Wait::sleeping, Payload::written_and_read); };
  sleeping.series = {make.between_cores(sleep(ours("process")), 4.9 * kUs, 9.1 * kUs),
                     make.between_cores(sleep(ours("container")), 4.95 * kUs, 9.2 * kUs),
                     versioned(make.between_cores(sleep(peer("iceoryx2")), 8.2 * kUs, 15 * kUs), "0.7.0"),
                     versioned(make.between_cores(sleep(peer("ZeroMQ")), 16 * kUs, 24 * kUs, 400, 0.2), "4.3.4"),
                     versioned(make.between_cores(sleep(peer("Unix socket")), 7.7 * kUs, 13 * kUs, 400, 0.12), "Linux 6.1"),
                     make.between_cores(sleep(base("futex")), 4.1 * kUs, 8.2 * kUs, 400, 0.04)};
  rows.push_back(sleeping);

  Row python = row("python/round-trip", "Python", "Python to Python, 1 MiB, round trip", "Two interpreters; NumPy arrays of frames.",
                   {at_most("≤ iceoryx2", "process", 1, "iceoryx2's wheel")});
  const auto both = [](SeriesSpec s) { return as(std::move(s), Wait::polling, Payload::untouched); };
  python.series = {make.between_cores(both(ours("process")), 3.9 * kUs, 7.2 * kUs), make.between_cores(both(ours("container")), 4.0 * kUs, 7.3 * kUs),
                   versioned(make.between_cores(both(peer("iceoryx2's wheel")), 3.3 * kUs, 6.8 * kUs), "0.7.0")};
  rows.push_back(python);
}

void add_rates(std::vector<Row>& rows, Maker& make) {
  Row rate = row("plane/rate", "Throughput", "Small frames a second, 64 B", "Between two processes.", {at_least("≥ 10 M/s", "process", 10e6)});
  rate.better = Better::more;
  rate.series = {make.series(ours("process", "1/s"), 18.3e6, 30, Placement::near), make.series(ours("container", "1/s"), 18.1e6, 30, Placement::near),
                 make.series(base("bare ring", "1/s"), 152e6, 30, Placement::near)};
  rows.push_back(rate);

  Row bytes = row("plane/throughput", "Throughput", "Throughput, 1 MiB frames", "The writer fills each frame, the reader sums it.",
                  {at_least("≥ 95 % of the writing alone", "process", 0.95, "writing alone")});
  bytes.better = Better::more;
  bytes.series = {make.series(ours("process", "B/s"), 11.4e9, 30, Placement::near),
                  make.series(base("writing alone", "B/s"), 11.9e9, 30, Placement::near)};
  rows.push_back(bytes);

  Row product = row("compute/matmul", "Container against native", "Matrix multiplication, container to native", "NumPy, 512 × 512, one thread.", {});
  product.targets = {{.text = "1 ± 0.02",
                      .of = "container",
                      .statistic = Statistic::median,
                      .relation = Target::Relation::within,
                      .limit = 0.02,
                      .against = "process"}};
  product.series = {make.series(ours("process"), 4.31 * kMs, 40), make.series(ours("container"), 4.33 * kMs, 40)};
  rows.push_back(product);

  Row memory = row("memory/node", "Memory and idle", "Memory of one more node", "PSS of its processes, and its share of the engine's shim.",
                   {at_most("≤ 4 MB", "process", 4e6), at_most("≤ 20 MB", "container", 20e6)});
  memory.series = {make.series(ours("process", "B"), 3.4e6, 10), make.series(ours("container", "B"), 22.6e6, 10)};
  rows.push_back(memory);

  Row idle = row("idle/cpu", "Memory and idle", "CPU of a session of 10 nodes, idle", "Of one core, over 10 s, by its control group.",
                 {at_most("0.00 %", "process", 0.005)});
  idle.series = {make.series(ours("process", "percent"), 0, 3)};
  rows.push_back(idle);
}

void add_growth(std::vector<Row>& rows, Maker& make) {
  Row readers = row("growth/readers", "Growth", "Readers of one port", "The cost of one send by the number of its readers.",
                    {at_most("64 readers ≤ 77 × one", "process 64", 77, "process 1")});
  for (double n = 1; n <= 64; n *= 2)
    readers.series.push_back(make.series(at(as(ours("process"), Wait::polling, Payload::untouched), n, "readers"), 60 + 21 * n, 40, Placement::near));
  rows.push_back(readers);

  Row containers = row("growth/containers", "Growth", "Containers started together", "From the request to all ready.",
                       {at_most("≤ 0.5 × the sum", "container 20", 0.5, "one after another")});
  for (const double n : {1., 2., 5., 10., 20.})
    containers.series.push_back(make.series(at(ours("container"), n, "containers"), (160 + 95 * n) * kMs, 6));
  containers.series.push_back(make.series(base("one after another"), 5240 * kMs, 3));
  rows.push_back(containers);
}

void add_facts(std::vector<Row>& rows) {
  Row isolation = row("isolation/container", "Isolation", "What a node can reach", "Each boundary probed from inside a node.");
  isolation.facts = {{"write to the root file system", "container", "EROFS", true},
                     {"write to the root file system", "process", "allowed: the user's own rights", std::nullopt},
                     {"read the host's /dev/shm", "container", "its own, empty", true},
                     {"reach the network", "container", "ENETUNREACH", true},
                     {"write a frame it has received", "container", "EPERM", true},
                     {"write a frame it has received", "process", "EPERM", true},
                     {"see other processes", "container", "3 of its own", true},
                     {"load a kernel module", "container", "allowed", false}};
  rows.push_back(isolation);

  Row gpu = row("limits/gpu", "Limits", "Limit on a GPU", "A node that asks for more than it was given.");
  gpu.missing = "this machine has no GPU";
  rows.push_back(gpu);

  Row hostile = row("plane/hostile", "Isolation", "<script>alert('title')</script> | a `title` of *markup*", "What <b>is</b> measured & how.",
                    {at_most("≤ <i>1</i> µs", "no such", 1)});
  Maker make;
  hostile.series = {make.series(ours("process"), 5, 3), versioned(make.series(peer("peer \"<img src=x onerror=alert(1)>\""), 4, 3),
                                                                  "1.0</script><script>alert('version')</script>\n|x|\x1b[31m")};
  rows.push_back(hostile);
}

}  // namespace

Run sample_run() {
  Run run;
  run.id = 7;
  run.started_s = 1795529100;
  run.seconds = 4 * 3600 + 11 * 60;
  run.command = "hawse bench --full --peers";
  run.effort = "full";
  run.version = "0.1.0";
  run.commit = "3de9215+";
  run.machine = {.cpu = "a made-up CPU at 2.5 GHz",
                 .kernel = "Linux 6.1.0",
                 .memory = "7.8 GiB",
                 .os = "Debian GNU/Linux 12",
                 .engine = "Docker 20.10.24",
                 .compiler = "g++ 12.2.0",
                 .python = "3.11.7",
                 .cores = 2,
                 .more = {{"control groups", "v1"}, {"virtualisation", "kvm"}}};
  run.near_ns = 98;
  run.far_ns = 402;
  Maker make;
  add_starts(run.rows, make);
  add_hand_over(run.rows, make);
  add_latency(run.rows, make);
  add_rates(run.rows, make);
  add_growth(run.rows, make);
  add_facts(run.rows);
  return run;
}

}  // namespace hawse::bench
