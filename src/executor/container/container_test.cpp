// SPDX-License-Identifier: Apache-2.0
//
// The container executor on the real engine: programs (shell scripts) run under hawse-init, the test plays the runtime's end of the protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "executor/container/container_instance.hpp"
#include "executor/container/environments.hpp"
#include "executor/container/images.hpp"
#include "executor/container/ownership.hpp"
#include "executor/python/packages.hpp"
#include "executor/python/uv.hpp"
#include "init/runtime_end.hpp"

namespace hawse::executor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

struct Containers : ::testing::Test {
  ScopedDir folder{fs::temp_directory_path(), "hawse-test-"};
  std::string session = "t" + std::to_string(::getpid());
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<test::RuntimeEnd> runtime;
  pipeline::Node node;
  Prepared prepared;

  void SetUp() override {
    try {
      engine = std::make_unique<Engine>();
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
    const fs::path resources = folder.path() / "resources", state = folder.path() / "state";
    fs::create_directories(resources / "python" / "hawse");
    fs::create_directories(state);
    fs::permissions(folder.path(), fs::perms(0755));
    fs::copy_file(HAWSE_INIT, resources / "hawse-init");
    ::setenv("HAWSE_RESOURCES", resources.c_str(), 1);
    ::setenv("HAWSE_STATE", state.c_str(), 1);
    executor = make_container_executor();
    runtime = std::make_unique<test::RuntimeEnd>(folder.path());
    node.id = "node";
    node.kind = pipeline::NodeKind::program;
    node.executor = pipeline::ExecutorKind::container;
  }
  void TearDown() override {
    if (engine) {
      EXPECT_TRUE(engine->containers({{"hawse.session", session}}).empty());
    }
    ::unsetenv("HAWSE_RESOURCES");
    ::unsetenv("HAWSE_STATE");
  }

  void program(const std::string& script) {
    node.source_file = folder.path() / "program";
    write_file(node.source_file, "#!/bin/sh\n" + script + "\n", 0755);
  }
  // The node is a Python one; `text` stands where the SDK's main module does.
  void python(const std::string& text) {
    node.kind = pipeline::NodeKind::python;
    node.source_file = folder.path() / "nodes.py";
    node.code_files = {node.source_file};
    node.class_name = "Anything";
    write_file(node.source_file, "name = 'the code'\n");
    write_file(folder.path() / "resources" / "python" / "hawse" / "_main.py", text);
  }

  std::unique_ptr<Instance> launch(unsigned attempt = 1) {
    prepared = executor->prepare(node, nullptr);
    return launch_prepared(attempt);
  }
  std::unique_ptr<Instance> launch_prepared(unsigned attempt = 1) {
    Launch what;
    what.node = &node;
    what.prepared = &prepared;
    what.session = session;
    what.attempt = attempt;
    what.socket = runtime->path();
    what.token = "abc123";
    auto instance = executor->launch(std::move(what));
    EXPECT_EQ(runtime->take_join(), (json{{"type", "join"}, {"token", "abc123"}, {"pid", 1}, {"init", true}}));
    runtime->give_streams();
    return instance;
  }
  // All that it has printed: its pipes end with its container.
  std::string out_of(std::unique_ptr<Instance>& instance) {
    instance.reset();
    return runtime->out();
  }
  // Passes init's `exited` on, as the runtime does.
  void take_exited(Instance& instance) {
    const json message = runtime->next();
    EXPECT_EQ(message.value("type", ""), "exited");
    instance.exited(message.value("code", 0), message.value("signal", 0));
    EXPECT_TRUE(test::readable(instance.ended_fd(), 0));
  }
  json inspect() {
    const auto all = engine->containers({{"hawse.session", session}});
    if (all.size() != 1) return {};
    HttpRequest request;
    request.target = "/containers/" + all.front().id + "/json";
    return json::parse(http_call(engine->socket_path(), request).body);
  }
};

TEST_F(Containers, a_nodes_end_is_known_with_its_code_and_leaves_nothing) {
  program("echo out; echo err >&2; exit 5");
  auto instance = launch();
  EXPECT_THAT(instance->where(), HasSubstr("container "));
  take_exited(*instance);
  const Ending ending = instance->collect();
  EXPECT_EQ(ending.kind, EndingKind::exited);
  EXPECT_EQ(ending.value, 5);
  EXPECT_EQ(instance->collect().value, 5);
  ASSERT_EQ(instance->phases_ns().size(), 2u);
  EXPECT_GT(instance->phases_ns()[0].second, 0);
  EXPECT_EQ(out_of(instance), "out\n");
  EXPECT_EQ(runtime->err(), "err\n");
  EXPECT_TRUE(engine->containers({{"hawse.session", session}}).empty());
}

TEST_F(Containers, the_engine_shows_every_restriction) {
  program("sleep 1000");
  node.limits.memory_bytes = 64u << 20;
  node.limits.cpus = 0.5;
  node.env["SHOWN"] = "yes";
  ::setenv("HOST_SECRET", "hidden", 1);
  auto instance = launch();
  const json all = inspect();
  const json& host = all.at("HostConfig");
  EXPECT_EQ(host["NetworkMode"], "none");
  EXPECT_EQ(host["IpcMode"], "none");
  EXPECT_EQ(host["ReadonlyRootfs"], true);
  EXPECT_EQ(host["CapDrop"], json::array({"ALL"}));
  EXPECT_EQ(host["SecurityOpt"], json::array({"no-new-privileges"}));
  EXPECT_EQ(host["PidsLimit"], 256);
  EXPECT_EQ(host["Memory"], 64u << 20);
  EXPECT_EQ(host["MemorySwap"], 64u << 20);
  EXPECT_EQ(host["NanoCpus"], 500'000'000);
  EXPECT_EQ(host["Privileged"], false);
  EXPECT_EQ(all["Config"]["User"], "65534:65534");
  EXPECT_EQ(all["Config"]["Labels"]["hawse"], "1");
  EXPECT_EQ(all["Name"], "/hawse-" + session + "-node-1");
  EXPECT_EQ(all["Mounts"].size(), 3u);  // socket, init, program
  for (const auto& mount : all["Mounts"]) EXPECT_EQ(mount["RW"], false) << mount;
  EXPECT_THAT(all["Config"]["Env"].dump(), HasSubstr("SHOWN=yes"));
  EXPECT_THAT(all["Config"]["Env"].dump(), Not(HasSubstr("hidden")));
  EXPECT_EQ(instance->limits_by(), "engine");
}

TEST_F(Containers, a_node_is_confined_as_seen_from_inside) {
  program(R"SH(
    echo "user $(id -u):$(id -g)"
    grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status
    echo "interfaces" $(ls /sys/class/net)
    touch /x 2>/dev/null && echo "root is writable"
    touch /hawse/code/x 2>/dev/null && echo "code is writable"
    echo x 2>/dev/null >> /hawse/code/program && echo "program is writable"
    ls -d /dev/shm 2>/dev/null
    touch /tmp/x && echo "tmp is writable"
    cp /bin/true /tmp/true && /tmp/true 2>/dev/null && echo "tmp is executable"
    ls /tmp | grep -c hawse-test
    echo "code" $(ls /hawse/code)
    echo "first process $(cat /proc/1/comm)"
    for p in /proc/[0-9]*; do cat $p/comm 2>/dev/null; done | grep -c -E 'dockerd|container_test'
    cat /proc/1/root/etc/hostname >/dev/null 2>&1; ls /var/run/docker.sock 2>/dev/null
    echo "environment" $(env | cut -d= -f1 | sort | grep -v -E '^(PWD|OLDPWD|_|SHLVL)$')
    true)SH");
  ::setenv("HOST_SECRET", "hidden", 1);
  auto instance = launch();
  take_exited(*instance);
  instance->collect();
  const std::string out = out_of(instance);
  EXPECT_EQ(out,
            "user 65534:65534\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\ninterfaces lo\ntmp is writable\n0\ncode program\n"
            "first process init\n0\nenvironment HAWSE_FD HOME HOSTNAME LANG PATH PYTHONDONTWRITEBYTECODE\n");
}

TEST_F(Containers, a_node_that_passes_its_memory_limit_ends_with_limit_and_peak) {
  program("exec python3 -c 'held = [bytearray(4 << 20) for _ in range(100)]'");
  node.limits.memory_bytes = 64u << 20;
  auto instance = launch();
  take_exited(*instance);
  const Ending ending = instance->collect();
  EXPECT_EQ(ending.kind, EndingKind::out_of_memory);
  EXPECT_EQ(ending.value, SIGKILL);
  EXPECT_EQ(ending.memory_limit_bytes, 64u << 20);
  ASSERT_TRUE(ending.memory_peak_bytes) << "the container's control group can't be read from here";
  EXPECT_GT(*ending.memory_peak_bytes, 60u << 20);
  EXPECT_LE(*ending.memory_peak_bytes, 64u << 20);
}

TEST_F(Containers, a_node_that_kills_itself_was_not_out_of_memory) {
  program("kill -KILL $$");
  node.limits.memory_bytes = 64u << 20;
  auto instance = launch();
  take_exited(*instance);
  const Ending ending = instance->collect();
  EXPECT_EQ(ending.kind, EndingKind::signalled);
  EXPECT_EQ(ending.value, SIGKILL);
}

TEST_F(Containers, a_container_that_is_killed_from_outside_is_seen) {
  program("sleep 1000");
  auto instance = launch();
  engine->kill(engine->containers({{"hawse.session", session}}).front().id);
  ASSERT_TRUE(test::readable(instance->ended_fd()));
  const Ending ending = instance->collect();
  EXPECT_EQ(ending.kind, EndingKind::signalled);
  EXPECT_EQ(ending.value, SIGKILL);
}

TEST_F(Containers, kill_ends_everything_of_it) {
  program("trap '' TERM INT; sleep 1000 & sleep 1000");
  auto instance = launch();
  instance->kill();
  ASSERT_TRUE(test::readable(instance->ended_fd()));
  EXPECT_EQ(instance->collect().kind, EndingKind::signalled);
  EXPECT_EQ(out_of(instance), "");
}

TEST_F(Containers, a_node_ends_by_itself_when_the_runtime_hangs_up) {
  program("sleep 1000");
  auto instance = launch();
  runtime->hang_up();
  ASSERT_TRUE(test::readable(instance->ended_fd()));
  EXPECT_EQ(instance->collect().kind, EndingKind::signalled);
}

TEST_F(Containers, destruction_removes_a_running_one) {
  program("sleep 1000");
  auto instance = launch();
  EXPECT_EQ(engine->containers({{"hawse.session", session}}).size(), 1u);
  instance.reset();
  EXPECT_TRUE(engine->containers({{"hawse.session", session}}).empty());
}

TEST_F(Containers, usage_is_told_while_it_runs) {
  program("sleep 1000");
  auto instance = launch();
  Usage usage;
  for (int i = 0; i < 1000 && !usage.memory_bytes; ++i) {
    usage = instance->usage();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_TRUE(usage.memory_bytes);
  EXPECT_GT(*usage.memory_peak_bytes, 0u);
  EXPECT_TRUE(usage.cpu_s);
}

TEST_F(Containers, a_sessions_containers_are_removed_by_its_name) {
  program("sleep 1000");
  auto instance = launch();
  EXPECT_EQ(kill_session("another"), 0u);
  EXPECT_EQ(kill_session(session), 1u);
  ASSERT_TRUE(test::readable(instance->ended_fd()));
  EXPECT_EQ(instance->collect().kind, EndingKind::lost);
}

TEST_F(Containers, what_a_dead_process_left_is_swept_and_what_a_living_one_owns_is_not) {
  program("sleep 1000");
  auto instance = launch();
  json body{{"Image", prepared.image}, {"Cmd", {"sleep", "1000"}}, {"Labels", owner_labels(session)}};
  std::string owner = body["Labels"]["hawse.owner"];
  body["Labels"]["hawse.owner"] = "4194999" + owner.substr(owner.find(' '));  // above every kernel's largest process id
  const std::string left = engine->create("", body);
  engine->start(left);
  EXPECT_GE(sweep_leftovers(), 1u);
  EXPECT_FALSE(engine->inspect(left));
  EXPECT_EQ(engine->containers({{"hawse.session", session}}).size(), 1u);
}

TEST_F(Containers, network_user_shm_and_mounts_open_what_they_name) {
  program(R"SH(id -u; ls /sys/class/net | tr '\n' ' '; echo; echo x > /dev/shm/x && echo shm; cat /data/read/file; echo new > /data/write/file && echo written; echo y 2>/dev/null > /data/read/file || echo refused)SH");
  fs::create_directories(folder.path() / "data");
  write_file(folder.path() / "data" / "file", "content\n");
  node.container.user = "0:0";
  node.container.network = "bridge";
  node.limits.shm_bytes = 1u << 20;
  node.container.mounts = {{folder.path() / "data", "/data/read", false}, {folder.path() / "data", "/data/write", true}};
  auto instance = launch();
  take_exited(*instance);
  instance->collect();
  EXPECT_EQ(out_of(instance), "0\neth0 lo \nshm\ncontent\nwritten\nrefused\n");
  EXPECT_EQ(read_file(folder.path() / "data" / "file"), "new\n");
}

TEST_F(Containers, a_code_file_that_only_we_can_read_is_an_error_before_the_start) {
  program("true");
  fs::permissions(node.source_file, fs::perms(0700));
  try {
    executor->prepare(node, nullptr);
    FAIL() << "it was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::environment);
    EXPECT_THAT(error.hint(), HasSubstr("chmod o+r"));
  }
}

TEST_F(Containers, a_stock_node_is_refused_with_what_to_do) {
  node.kind = pipeline::NodeKind::stock;
  EXPECT_THROW(executor->prepare(node, nullptr), Error);
}

TEST_F(Containers, what_the_engine_refuses_leaves_no_container) {
  program("true");
  node.container.network = "no-such-network";
  prepared = executor->prepare(node, nullptr);
  try {
    launch_prepared();
    FAIL() << "it started";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::engine);
    EXPECT_THAT(error.what(), HasSubstr("no-such-network"));
  }
}

TEST_F(Containers, a_python_node_has_its_version_its_packages_and_only_its_own_code) {
  try {
    find_uv();
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  python("import os, sys; sys.path.insert(0, '/hawse/packages'); import numpy; print(sys.version.split()[0], numpy.__version__, os.listdir('/hawse/code'), numpy.ones(3).sum())\n");
  write_file(folder.path() / "secret.py", "");
  node.container.python = "3.9";
  node.packages = {"numpy<2"};
  auto instance = launch();
  EXPECT_EQ(prepared.entry, (json{{"kind", "python"}, {"file", "/hawse/code/nodes.py"}, {"module", ""}, {"class", "Anything"}}));
  EXPECT_EQ(prepared.path, std::vector<std::string>{"/hawse/packages"});
  EXPECT_THAT(prepared.summary, ::testing::MatchesRegex("python 3\\.9\\..*, numpy 1\\..*"));
  take_exited(*instance);
  EXPECT_EQ(instance->collect().value, 0);
  EXPECT_THAT(out_of(instance), ::testing::MatchesRegex("3\\.9\\.[0-9]+ 1\\.[0-9.]+ \\['nodes.py'\\] 3.0\n")) << runtime->err();
  unsigned lines = 0;
  const Prepared again = executor->prepare(node, [&](const Progress&) { ++lines; });
  EXPECT_EQ(lines, 0u);
  EXPECT_EQ(again.packages, prepared.packages);
  const auto all = list_environments();
  EXPECT_TRUE(std::ranges::any_of(all, [&](const auto& one) { return one.kind == "packages" && one.key == prepared.packages.filename(); }));
}

TEST_F(Containers, an_image_with_musl_is_refused_before_anything_of_it_runs) {
  write_file(folder.path() / "musl.tar", tar_of({{"lib/ld-musl-x86_64.so.1", "a loader"}, {"lib/ld-musl-aarch64.so.1", "a loader"}}));
  const std::string reference = "hawse/test-musl:" + session;
  engine->import_image(folder.path() / "musl.tar", reference, {}, nullptr);
  python("");
  node.container.image = reference;
  for (const auto& apt : {std::vector<std::string>{}, std::vector<std::string>{"hello"}}) {
    node.container.apt = apt;
    try {
      executor->prepare(node, nullptr);
      ADD_FAILURE() << "it was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::environment);
      EXPECT_THAT(error.context(), HasSubstr("musl (Alpine)"));
      EXPECT_THAT(error.hint(), HasSubstr("slim"));
    }
  }
  node.container.apt.clear();
  node.kind = pipeline::NodeKind::program;
  program("true");
  EXPECT_NO_THROW(executor->prepare(node, nullptr)) << "a script needs no library of the image";
  fs::copy_file(HAWSE_INIT, node.source_file, fs::copy_options::overwrite_existing);
  EXPECT_NO_THROW(executor->prepare(node, nullptr)) << "nor does a static program";
  fs::copy_file("/bin/true", node.source_file, fs::copy_options::overwrite_existing);
  try {
    executor->prepare(node, nullptr);
    ADD_FAILURE() << "it was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.context(), HasSubstr("musl (Alpine)"));
    EXPECT_THAT(error.hint(), HasSubstr("statically"));
  }
  EXPECT_TRUE(engine->remove_image(reference));
}

TEST_F(Containers, packages_that_a_running_container_uses_are_kept) {
  program("sleep 1000");
  prepared = executor->prepare(node, nullptr);
  EnvironmentIndex index(folder.path() / "state" / "index.sqlite");
  prepared.packages = folder.path() / "state" / "store" / "packages" / "feedc0de";
  fs::create_directories(prepared.packages);
  index.put({"packages", "feedc0de", "python 3.11: x 1", prepared.packages.string(), 7, 1, 1});
  auto instance = launch_prepared();
  const Removal refused = remove_environments("feed");
  ASSERT_EQ(refused.kept.size(), 1u);
  EXPECT_THAT(refused.kept.front(), HasSubstr("used by hawse-" + session));
  EXPECT_TRUE(fs::exists(prepared.packages));
  instance.reset();
  const Removal removed = prune_environments({.older_than_s = std::int64_t{20} * 365 * 86400, .keep_bytes = {}});  // last used in 1970: what others made stays
  EXPECT_EQ(removed.freed_bytes, 7u);
  EXPECT_FALSE(fs::exists(prepared.packages));
  EXPECT_THROW(remove_environments("feed"), Error);
}

TEST_F(Containers, system_packages_make_an_image_once_and_a_failure_shows_what_apt_said) {
  const std::size_t others = engine->images({{"hawse.build", ""}}).size();  // what this machine's own pipelines have built
  program("hello");
  node.container.apt = {"hello"};
  std::string lines;
  const Report report = [&](const Progress& progress) { lines += progress.line + "\n"; };
  prepared = executor->prepare(node, report);
  EXPECT_THAT(lines, HasSubstr("hello"));
  lines.clear();
  EXPECT_EQ(executor->prepare(node, report).image, prepared.image);
  EXPECT_EQ(lines, "");
  {
    auto instance = launch_prepared();
    take_exited(*instance);
    instance->collect();
    EXPECT_EQ(out_of(instance), "Hello, world!\n");
  }
  const auto image = engine->image(prepared.image);
  ASSERT_TRUE(image);
  EXPECT_TRUE(engine->remove_image(image->tags.front()));
  node.container.apt = {"no-such-package-of-debian"};
  try {
    executor->prepare(node, nullptr);
    FAIL() << "it was built";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::environment);
    EXPECT_THAT(error.context(), HasSubstr("no-such-package-of-debian"));
  }
  EXPECT_EQ(engine->images({{"hawse.build", ""}}).size(), others);
  node.container.apt = {"x; reboot"};
  EXPECT_THROW(executor->prepare(node, nullptr), Error);
}

}  // namespace
}  // namespace hawse::executor
