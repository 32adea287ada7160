// SPDX-License-Identifier: Apache-2.0
//
// Start-up of nodes as processes, beside what the machine itself needs: the bare interpreter, the import of NumPy, a static program.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.hpp"
#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/life/processes.hpp"
#include "bench/rows/life/row_parts.hpp"

extern char** environ;

namespace hawse::bench::life {
namespace {

constexpr const char* kNumpyNode = "python with numpy";
constexpr const char* kImportNumpy = "python -c 'import numpy'";
constexpr const char* kNumpyImported = "python -c 'import numpy', until imported";
constexpr const char* kPlainNode = "python without packages";
constexpr const char* kPass = "python -c pass";
constexpr const char* kZygote = "python, from the zygote";
constexpr const char* kZygoteFork = "of it until the fork says hello";

struct Interpreted {
  double until_said_ns = 0, until_ended_ns = 0;
};

// The interpreter of a node, with the node's packages, in the way that the node itself is started.
Interpreted interpret(const executor::Prepared& prepared, const std::string& code) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno("start python", "pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  SpawnOptions options;
  options.argv = {prepared.interpreter.string(), "-I", "-B", "-c", "import sys\nsys.path[:0] = sys.argv[1:]\n" + code + "\nimport os\nos.write(1, b'x')"};
  options.argv.insert(options.argv.end(), prepared.path.begin(), prepared.path.end());
  options.env = current_environment();
  options.stdout_fd = write_end.get();
  const auto begun_ns = now_ns();
  Subprocess process = Subprocess::spawn(options);
  write_end.reset();
  char said = 0;
  const auto size = ::read(read_end.get(), &said, 1);
  const auto said_ns = now_ns();
  const ExitStatus status = process.wait();
  const auto ended_ns = now_ns();
  if (size != 1 || status.signalled || status.value != 0) throw Unavailable(prepared.interpreter.string() + " could not run: " + code);
  return {static_cast<double>(said_ns - begun_ns), static_cast<double>(ended_ns - begun_ns)};
}

void measure_numpy(Pass& pass, const pipeline::Pipeline& pipeline, const executor::Prepared& prepared, std::size_t samples) {
  pass.interleave({[&] { pass.measure(kNumpyNode, [&] { return repeated(samples, [&] { return total_ns(start_once(pipeline)); }); }); },
                   [&] {
                     std::vector<float> imported;
                     pass.measure(kImportNumpy, [&] {
                       return repeated(samples, [&] {
                         const Interpreted took = interpret(prepared, "import numpy");
                         imported.push_back(static_cast<float>(took.until_said_ns));
                         return took.until_ended_ns;
                       });
                     });
                     pass.keep(kNumpyImported, imported);
                   }});
}

// A node whose first start fails: the second one is a fork of a zygote that is there. setup() imports numpy, which the zygote has.
void measure_forks(Pass& pass, std::size_t samples) {
  const std::string flag = (std::filesystem::path(pass.folder()) / "started").string();
  const auto pipeline = load_pipeline(scenario(pass, "start_forked.yaml"), {.set = {{"flag", flag}}, .executors = {}, .env = {}});
  std::vector<float> hello;
  pass.measure(kZygote, [&] {
    return repeated(samples, [&] {
      std::filesystem::remove(flag);
      const auto phases = start_once(pipeline);
      if (!phases.contains("fork")) throw Unavailable("the node was not forked");
      hello.push_back(static_cast<float>(phases["fork"].get<double>() * 1e6));
      return total_ns(phases);
    });
  });
  pass.keep(kZygoteFork, hello);
}

RowSpec python_row() {
  RowSpec spec = row("start/python", kStartUp, "Native Python node: start to ready, its setup() done",
                     "from the session's decision to start the node to its `ready`, setup() imports numpy; the floor is the same interpreter with the same packages, started the same "
                     "way, from its start to its end (and, as a second figure, until numpy is imported). From the zygote: the second start of a node whose first one failed, setup() imports numpy");
  spec.series = {series(kNumpyNode), series(kImportNumpy, Role::floor), series(kNumpyImported, Role::floor), series(kPlainNode), series(kPass, Role::floor), series(kZygote), series(kZygoteFork)};
  spec.row.targets = {at_most("cold ≤ 1.15 × python -c \"import numpy\"", kNumpyNode, 1.15, kImportNumpy), at_most("≤ 2 ms from the zygote", kZygote, 2e6)};
  spec.seconds_a_pass = 0.8;
  spec.measure = [](Pass& pass) {
    const auto samples = pass.samples(1, 3);
    const auto executor = executor::make_process_executor();
    const auto bare = load_pipeline(scenario(pass, "start_python.yaml")), numpy = load_pipeline(scenario(pass, "start_python_numpy.yaml"));
    const auto plain = prepare(*executor, *bare.find("node"));
    try {
      measure_numpy(pass, numpy, prepare(*executor, *numpy.find("node")), samples);
      measure_forks(pass, samples);
    } catch (const Unavailable& error) {
      for (const char* key : {kNumpyNode, kImportNumpy, kNumpyImported, kZygote, kZygoteFork}) pass.missing(key, error.what());
    }
    pass.interleave({[&] { pass.measure(kPlainNode, [&] { return repeated(samples, [&] { return total_ns(start_once(bare)); }); }); },
                     [&] { pass.measure(kPass, [&] { return repeated(samples, [&] { return interpret(plain, "pass").until_ended_ns; }); }); }});
  };
  return spec;
}

double spawn_static() {
  const std::string program = (resources_dir() / "bench/bench-true").string();
  char* argv[] = {const_cast<char*>(program.c_str()), nullptr};
  pid_t pid = 0;
  const auto begun_ns = now_ns();
  if (::posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv, environ) != 0) throw Unavailable(program + " can't be started");
  int status = 0;
  ::waitpid(pid, &status, 0);
  return static_cast<double>(now_ns() - begun_ns);
}

RowSpec program_row() {
  constexpr const char* kSpawn = "posix_spawn of a static program";
  RowSpec spec = row("start/cpp", kStartUp, "Native C++ node: start to ready",
                     "from the session's decision to start the node to its `ready`: a user's program (written against the public API, linked as docs/cpp.md says), and a stock node as a "
                     "process; the floor is posix_spawn of a static program that ends at once, until it has ended");
  spec.series = {series("program"), series("stock node"), series(kSpawn, Role::floor)};
  spec.row.targets = {at_most("≤ 2 ms", "program", 2e6), at_most("≤ 2 ms, a stock node", "stock node", 2e6)};
  spec.seconds_a_pass = 0.3;
  spec.measure = [](Pass& pass) {
    const auto samples = pass.samples(3, 5);
    const auto program = load_pipeline(scenario(pass, "start_program.yaml"), {.set = {{"program", (resources_dir() / "bench/bench-node").string()}}, .executors = {}, .env = {}});
    const auto stock = load_pipeline(scenario(pass, "start_stock.yaml"));
    pass.interleave({[&] { pass.measure("program", [&] { return repeated(samples, [&] { return total_ns(start_once(program)); }); }); },
                     [&] { pass.measure("stock node", [&] { return repeated(samples, [&] { return total_ns(start_once(stock)); }); }); },
                     [&] { pass.measure(kSpawn, [&] { return repeated(samples, spawn_static); }); }});
  };
  return spec;
}

}  // namespace

void add_process_start_rows(std::vector<RowSpec>& rows) {
  rows.push_back(python_row());
  rows.push_back(program_row());
}

}  // namespace hawse::bench::life
