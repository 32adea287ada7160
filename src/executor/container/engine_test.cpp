// SPDX-License-Identifier: Apache-2.0
//
// The engine client against an engine that lies: a server on a Unix socket that answers with exactly the bytes that a test gives it.
#include "executor/container/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/files.hpp"
#include "base/socket.hpp"
#include "executor/container/container_instance.hpp"
#include "executor/container/engine_answer.hpp"
#include "executor/container/gpus.hpp"
#include "executor/container/images.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string http(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string chunked(const std::vector<std::string>& chunks) {
  std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const auto& chunk : chunks) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", chunk.size());
    text += size + chunk + "\r\n";
  }
  return text + "0\r\n\r\n";
}

std::string ping(const std::string& version) { return "HTTP/1.1 200 OK\r\nApi-Version: " + version + "\r\nContent-Length: 2\r\n\r\nOK"; }
const std::string kPing = ping("1.45");

// Answers each connection with the next of its answers (the last one again and again); `endless` repeats an answer's tail until the client leaves.
class LyingEngine {
 public:
  explicit LyingEngine(std::vector<std::string> answers, std::string endless = "") : answers_(std::move(answers)), endless_(std::move(endless)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path().c_str());
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener_.get(), 8) != 0) throw Error::from_errno("listen", path());
    thread_ = std::thread([this] { serve(); });
  }
  ~LyingEngine() {
    ending_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string path() const { return (folder_.path() / "engine.sock").string(); }
  const std::vector<std::string>& requests() const { return requests_; }

 private:
  void serve() {
    for (std::size_t i = 0; !ending_; ++i) {
      const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      std::string request(65536, '\0');
      const ssize_t size = ::read(peer.get(), request.data(), request.size());
      request.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
      requests_.push_back(request);
      const bool last = i + 1 >= answers_.size();
      send_all(peer.get(), answers_[std::min(i, answers_.size() - 1)]);
      while (last && !endless_.empty() && !ending_ && send_all(peer.get(), endless_)) {
      }
    }
  }
  static bool send_all(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  ScopedDir folder_{std::filesystem::temp_directory_path(), "hawse-test-"};
  UniqueFd listener_;
  std::vector<std::string> answers_, requests_;
  std::string endless_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

template <class Call>
Error error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return {ErrorCode::internal, "", ""};
}

TEST(Engine, agrees_on_the_newest_version_that_both_know) {
  LyingEngine newer({ping("1.99")}), older({ping("1.41")});
  EXPECT_EQ(Engine(newer.path()).api(), "1.47");
  EXPECT_EQ(Engine(older.path()).api(), "1.41");
}

TEST(Engine, refuses_one_that_is_too_old_or_names_no_version) {
  for (const std::string& answer : {ping("1.24"), ping("two"), ping(""), ping("-1.99"), ping("99999999999999999999.1"), http("OK"), http("OK", "500 Internal Server Error")}) {
    LyingEngine server({answer});
    EXPECT_EQ(error_of([&] { Engine engine(server.path()); }).code(), ErrorCode::engine) << answer;
  }
}

TEST(Engine, an_absent_one_is_an_error_that_says_how_to_start_it) {
  const ScopedDir folder(std::filesystem::temp_directory_path(), "hawse-test-");
  const Error error = error_of([&] { Engine engine((folder.path() / "none.sock").string()); });
  EXPECT_EQ(error.code(), ErrorCode::engine);
  EXPECT_THAT(error.hint(), HasSubstr("systemctl start docker"));
}

TEST(Engine, a_socket_that_is_not_ours_to_open_is_an_error_that_names_the_group) {
  const Error error = unreachable("create a container", "/var/run/docker.sock", HttpError("Permission denied", EACCES));
  EXPECT_THAT(error.hint(), HasSubstr("docker"));
  EXPECT_THAT(error.what(), HasSubstr("/var/run/docker.sock"));
}

TEST(Engine, only_a_unix_socket_is_taken_from_docker_host) {
  ::setenv("DOCKER_HOST", "tcp://10.0.0.1:2375", 1);
  EXPECT_THAT(error_of([] { Engine::find_socket(); }).context(), HasSubstr("tcp://10.0.0.1:2375"));
  ::setenv("DOCKER_HOST", "unix:///somewhere/x.sock", 1);
  EXPECT_EQ(Engine::find_socket(), "/somewhere/x.sock");
  ::unsetenv("DOCKER_HOST");
}

TEST(Engine, an_answer_that_is_not_what_it_should_be_is_an_error) {
  const std::string long_body(17u << 20, ' ');
  for (const std::string& answer : {std::string(), std::string("garbage"), std::string("\0\0\0\0", 4), std::string("HTTP/1.1 200 OK\r\n"),
                                    std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":"), std::string("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
                                    std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello"),
                                    std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"), std::string("HTTP/9.9 999999 X\r\n\r\n"),
                                    http("<html>502</html>"), http(""), http("{}"), http("[]"), http(R"({"Id":17})"), http(R"({"Id":null})"), http(std::string(100000, '[')), http(long_body)}) {
    LyingEngine server({kPing, answer});
    const Engine engine(server.path());
    const Error error = error_of([&] { engine.create("x", {}); });
    EXPECT_EQ(error.code(), ErrorCode::engine) << answer.substr(0, 80);
    EXPECT_LT(std::string(error.what()).size(), 4000u);
  }
}

TEST(Engine, any_bytes_are_an_answer_or_an_error) {
  const std::string container = R"({"Id":"3f2a","State":{"Running":true,"Pid":7,"ExitCode":0},"Names":["/x"],"Labels":{"hawse":"1"},"RepoTags":["a:b"],"Config":{"Labels":{}}})";
  std::mt19937 random(7);
  std::vector<std::string> answers{kPing};
  for (int i = 0; i < 600; ++i) {
    std::string answer = i % 3 == 0 ? http(container) : i % 3 == 1 ? http("[" + container + "]") : chunked({R"({"status":"Downloading","id":"layer","progressDetail":{"current":5,"total":9}})", "\n", container});
    for (int changes = static_cast<int>(random() % 5); changes > 0; --changes) {
      const std::size_t at = random() % answer.size();
      if (random() % 3 == 0) answer.erase(at, 1 + random() % 8);
      else if (random() % 2 == 0) answer.insert(at, 1 + random() % 4, static_cast<char>(random()));
      else answer[at] = static_cast<char>(random());
      if (answer.empty()) answer = "x";
    }
    answers.push_back(answer);
  }
  LyingEngine server(answers);
  const Engine engine(server.path());
  int errors = 0;
  for (std::size_t i = 1; i < answers.size(); ++i) {
    try {
      switch (i / 3 % 6) {
        case 0: engine.create("x", json::object()); break;
        case 1: engine.inspect("x"); break;
        case 2: engine.containers({{"hawse", "1"}}); break;
        case 3: engine.image("x"); break;
        case 4: engine.images({}); break;
        case 5: engine.pull("x", [](const EngineProgress&) {}, 5'000'000'000); break;
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::engine);
      ++errors;
    }
  }
  EXPECT_GT(errors, 100);
  EXPECT_LT(errors, 599);
}

TEST(Engine, that_is_gone_or_cut_off_is_told_from_one_that_refuses) {
  const auto unreachable_by = [](const Error& error) { return dynamic_cast<const Unreachable*>(&error); };
  LyingEngine server({kPing, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", http(R"({"message":"no"})", "500 Internal Server Error")});
  const Engine engine(server.path());
  const auto asked = [&](const Engine& of) -> std::optional<bool> {
    try {
      of.create("x", json::object());
    } catch (const Error& error) {
      if (const auto* found = unreachable_by(error)) return found->asked;
    }
    return std::nullopt;
  };
  EXPECT_EQ(asked(engine), true) << "cut off";
  EXPECT_EQ(asked(engine), std::nullopt) << "refused";
  std::optional<Engine> gone;
  {
    LyingEngine short_lived({kPing});
    gone.emplace(short_lived.path());
  }
  EXPECT_EQ(asked(*gone), false) << "gone";
}

TEST(Engine, that_is_podman_gets_limits_that_it_may_set_and_its_names_are_short) {
  LyingEngine server({"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\nContent-Length: 2\r\n\r\nOK", http(R"({"Id":"3f2a"})"),
                      http(R"({"Id":"sha256:1","RepoTags":["docker.io/hawse/python:3.11","docker.io/library/debian:12","localhost/x:1","quay.io/y:2"]})")});
  const Engine engine(server.path());
  EXPECT_TRUE(engine.is_podman());
  engine.create("x", json::object());
  EXPECT_THAT(server.requests()[1], AllOf(HasSubstr("nofile"), HasSubstr("nproc")));
  const auto image = engine.image("x");
  ASSERT_TRUE(image);
  EXPECT_THAT(image->tags, ::testing::ElementsAre("hawse/python:3.11", "debian:12", "x:1", "quay.io/y:2"));
}

const std::string kPodman = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: VERSION\r\nContent-Length: 2\r\n\r\nOK";

std::string podman(const std::string& version) {
  std::string text = kPodman;
  return text.replace(text.find("VERSION"), 7, version);
}

TEST(Engine, that_would_ignore_gpus_is_an_error_before_it_is_asked_for_a_container) {
  const json body = {{"HostConfig", {{"DeviceRequests", gpus_of("all")}}}};
  for (const char* version : {"4.3.1", "5.3.2", "x"}) {
    LyingEngine old({podman(version), http(R"({"Id":"3f2a"})")});
    const Engine engine(old.path());
    for (const Error& error : {error_of([&] { engine.create("x", body); }), error_of([&] { check_gpus(engine, "all", ""); })}) {
      EXPECT_EQ(error.code(), ErrorCode::engine);
      EXPECT_THAT(error.context(), AllOf(HasSubstr("gpus:"), HasSubstr(version)));
      EXPECT_THAT(error.hint(), HasSubstr("5.4"));
    }
    EXPECT_EQ(old.requests().size(), 1u) << "only the ping";
  }
  LyingEngine fresh({podman("5.4.0"), http(R"({"Id":"3f2a"})")});
  Engine(fresh.path()).create("x", body);
  EXPECT_THAT(fresh.requests()[1], AllOf(HasSubstr("nvidia.com/gpu=all"), HasSubstr("\"cdi\"")));
}

TEST(Engine, that_has_no_gpus_says_so_before_anything_is_made) {
  const std::string images = http(R"([{"Id":"sha256:1"}])"), made = http(R"({"Id":"3f2a"})"), gone = "HTTP/1.1 204 No Content\r\n\r\n";
  const std::string none = http(R"({"message":"could not select device driver \"\" with capabilities: [[gpu]]"})", "500 Internal Server Error");
  LyingEngine lacks({kPing, images, made, none, gone});
  const Error error = error_of([&] { check_gpus(Engine(lacks.path()), "2", ""); });
  EXPECT_THAT(error.context(), HasSubstr("gpus: 2 was asked for, and the engine has no driver for GPUs"));
  EXPECT_THAT(error.hint(), HasSubstr("nvidia-container-toolkit"));
  EXPECT_THAT(lacks.requests()[4], HasSubstr("DELETE"));
  LyingEngine has({kPing, images, made, http(R"({"message":"exec: \"/hawse/no-such-program\": no such file"})", "400 Bad Request"), gone}), empty({kPing, http("[]")});
  EXPECT_TRUE(check_gpus(Engine(has.path()), "all", ""));
  EXPECT_FALSE(check_gpus(Engine(empty.path()), "all", ""));
}

TEST(Engine, what_it_warns_of_is_passed_on) {
  LyingEngine server({kPing, http(R"({"Id":"3f2a","Warnings":["Your kernel does not support swap limit capabilities","\u001b[31m",7]})")});
  std::vector<std::string> warnings;
  EXPECT_EQ(Engine(server.path()).create("x", {}, &warnings), "3f2a");
  EXPECT_THAT(warnings, ::testing::ElementsAre("Your kernel does not support swap limit capabilities", "\\x1b[31m"));
}

// Its figures would be ours: this process is in no group of that container's.
TEST(ContainerInstance, has_no_figures_of_a_group_that_is_not_its_own) {
  const std::string id = "feedc0de", state = http(R"({"State":{"Running":true,"Pid":)" + std::to_string(::getpid()) + "}}");
  const std::string gone = "HTTP/1.1 204 No Content\r\n\r\n";
  std::mutex mutex;
  std::vector<std::string> notices;
  const auto notice = [&](const std::string& text) {
    const std::lock_guard lock(mutex);
    notices.push_back(text);
  };
  for (const bool lent : {true, false}) {
    LyingEngine server(lent ? std::vector<std::string>{kPing, state, http("{}")} : std::vector<std::string>{kPing, http(R"({"Id":"feedc0de"})"), gone, state, http("{}")});
    const auto engine = std::make_shared<const Engine>(server.path());
    const auto removals = std::make_shared<Removals>(engine);
    auto [ours, theirs] = socket_pair();
    notices.clear();
    std::unique_ptr<ContainerInstance> instance;
    if (lent)  // the kernel has named its process
      instance = std::make_unique<ContainerInstance>(engine, removals, id, ::getpid(), std::nullopt, notice, std::move(ours), false);
    else  // the engine has, which counts in a process namespace of its own
      instance = std::make_unique<ContainerInstance>(engine, removals, "x", json::object(), std::nullopt, notice);
    pollfd ended{.fd = instance->ended_fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&ended, 1, 60'000), 1) << "its watcher has looked";
    EXPECT_FALSE(instance->usage().memory_bytes);
    EXPECT_EQ(instance->limits_by(), lent ? "nothing: no control group of its own" : "engine");
    const std::lock_guard lock(mutex);
    EXPECT_EQ(notices.size(), lent ? 1u : 0u);
  }
}

TEST(Engine, an_answer_without_end_is_cut_off) {
  LyingEngine body({kPing, "HTTP/1.1 200 OK\r\n\r\n"}, std::string(65536, ' '));
  EXPECT_THAT(error_of([&] { Engine(body.path()).create("x", {}); }).context(), HasSubstr("longer than"));
  LyingEngine header({kPing, "HTTP/1.1 200 OK\r\n"}, "X-More: and more\r\n");
  EXPECT_EQ(error_of([&] { Engine(header.path()).create("x", {}); }).code(), ErrorCode::engine);
  LyingEngine line({kPing, "HTTP/1.1 200 OK\r\n\r\n{\"status\":\""}, std::string(65536, 'x'));
  EXPECT_THAT(error_of([&] { Engine(line.path()).pull("x", nullptr, 1'000'000'000); }).context(), HasSubstr("1 MiB"));
}

TEST(Engine, a_silent_one_is_given_up) {
  const ScopedDir folder(std::filesystem::temp_directory_path(), "hawse-test-");
  const std::string path = (folder.path() / "silent.sock").string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  HttpRequest request;
  request.target = "/version";
  request.silence_ns = 50'000'000;
  try {
    http_call(path, request);
    FAIL() << "it answered";
  } catch (const HttpError& error) {
    EXPECT_EQ(error.error_number(), ETIMEDOUT);
  }
}

TEST(Engine, a_wait_can_be_interrupted_from_another_thread) {
  LyingEngine server({kPing, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"}, " ");  // never whole: a blank at a time
  const Engine engine(server.path());
  Interrupt interrupt;
  std::thread other([&] { interrupt.now(); });
  EXPECT_THROW(engine.wait("x", &interrupt), Error);
  other.join();
  EXPECT_THROW(engine.wait("x", &interrupt), Error);
}

TEST(Engine, what_it_complains_about_is_passed_on_with_what_to_do) {
  LyingEngine gpu({kPing, http(R"({"message":"could not select device driver \"\" with capabilities: [[gpu]]"})", "500 Internal Server Error")});
  const Error error = error_of([&] { Engine(gpu.path()).start("0123456789abcdef"); });
  EXPECT_THAT(error.what(), HasSubstr("start container 0123456789ab"));
  EXPECT_THAT(error.context(), HasSubstr("could not select device driver"));
  EXPECT_THAT(error.hint(), HasSubstr("nvidia-container-toolkit"));
  LyingEngine page({kPing, http("<html>\x1b[31mred</html>", "502 Bad Gateway")});
  EXPECT_THAT(error_of([&] { Engine(page.path()).start("x"); }).context(), HasSubstr("\\x1b[31m"));
}

TEST(Engine, a_container_or_image_that_is_not_there_is_no_error) {
  LyingEngine server({kPing, http(R"({"message":"No such container: x"})", "404 Not Found")});
  const Engine engine(server.path());
  EXPECT_FALSE(engine.inspect("x"));
  EXPECT_FALSE(engine.image("x"));
  EXPECT_FALSE(engine.remove("x"));
  EXPECT_FALSE(engine.kill("x"));
}

TEST(Engine, a_list_with_strange_entries_is_read_as_far_as_it_makes_sense) {
  LyingEngine server({kPing, http(R"([{"Id":"1","Names":["/hawse-a"],"State":"running","Labels":{"hawse":"1","n":3}},{"Id":"2","Names":7,"Labels":null}])")});
  const auto found = Engine(server.path()).containers({{"hawse", "1"}});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "hawse-a");
  EXPECT_EQ(found[0].labels, (Labels{{"hawse", "1"}}));
  EXPECT_EQ(found[1].name, "");
  LyingEngine wrong({kPing, http("[17]")});
  EXPECT_EQ(error_of([&] { Engine(wrong.path()).containers({}); }).code(), ErrorCode::engine);
}

TEST(Engine, a_pulls_progress_arrives_line_by_line_however_it_is_cut) {
  LyingEngine server({kPing, chunked({R"({"status":"Downloading","id":"a1","progressDetail":{"current":5,"tot)", "al\":10}}\n\n{\"status\":\"Done\"}"})});
  std::vector<EngineProgress> seen;
  Engine(server.path()).pull("python:3.9-slim", [&](const EngineProgress& progress) { seen.push_back(progress); }, 1'000'000'000);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].layer, "a1");
  EXPECT_EQ(seen[0].done, 5u);
  EXPECT_EQ(seen[0].total, 10u);
  EXPECT_EQ(seen[1].text, "Done");
  EXPECT_THAT(server.requests()[1], HasSubstr("POST /v1.45/images/create?fromImage=python&tag=3.9-slim "));
}

TEST(Engine, a_failed_build_shows_the_commands_last_lines) {
  LyingEngine server({kPing, chunked({R"({"stream":"Step 2/2 : RUN apt-get"})", "\n", R"({"stream":"E: Unable to locate package nonsense\n"})", "\n",
                                               R"({"error":"The command returned a non-zero code: 100","errorDetail":{"code":100}})", "\n"})});
  const Error error = error_of([&] { Engine(server.path()).build(tar_of({{"Dockerfile", "FROM x"}}), "t", {}, nullptr); });
  EXPECT_THAT(error.context(), HasSubstr("non-zero code: 100"));
  EXPECT_THAT(error.context(), HasSubstr("Unable to locate package nonsense"));
}

TEST(Engine, progress_that_is_no_json_or_of_other_types_breaks_nothing) {
  LyingEngine garbage({kPing, chunked({"hello\n"})});
  EXPECT_EQ(error_of([&] { Engine(garbage.path()).pull("x", nullptr, 1'000'000'000); }).code(), ErrorCode::engine);
  LyingEngine odd({kPing, chunked({"[1]\n17\nnull\n{\"status\":5,\"progressDetail\":7,\"aux\":[1],\"error\":3}\n{\"status\":\"x\",\"progressDetail\":{\"current\":-4,\"total\":\"z\"}}\n"})});
  std::vector<EngineProgress> seen;
  Engine(odd.path()).pull("x", [&](const EngineProgress& progress) { seen.push_back(progress); }, 1'000'000'000);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].done, 0u);
}

TEST(Engine, logs_are_taken_out_of_their_frames_also_where_those_lie) {
  EXPECT_EQ(demultiplexed(std::string("\1\0\0\0\0\0\0\3one\2\0\0\0\0\0\0\4two\n", 23)), "onetwo\n");
  EXPECT_EQ(demultiplexed(std::string("\1\0\0\0\xff\xff\xff\xff" "ab", 10)), "ab");
  EXPECT_EQ(demultiplexed("short"), "");
}

TEST(Engine, a_tar_is_read_back_by_tar_itself) {
  const ScopedDir folder(std::filesystem::temp_directory_path(), "hawse-test-");
  write_file(folder.path() / "x.tar", tar_of({{"Dockerfile", "FROM scratch\n"}, {"empty", ""}}));
  const std::string command = "cd " + folder.path().string() + " && tar xf x.tar && cat Dockerfile > out && test -f empty";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_file(folder.path() / "out"), "FROM scratch\n");
}

TEST(Engine, an_interrupt_ends_a_pull_that_waits_and_every_later_one) {
  LyingEngine server({kPing, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"}, " ");
  const auto interrupt = std::make_shared<Interrupt>();
  const Engine engine(server.path(), interrupt);
  std::thread other([&] { interrupt->now(); });
  for (int i = 0; i < 2; ++i) EXPECT_EQ(error_of([&] { engine.pull("x", nullptr, 600'000'000'000); }).code(), ErrorCode::interrupted);
  other.join();
}

TEST(Images, what_no_registry_gave_is_asked_for_again_within_the_hour_on_request_alone) {
  LyingEngine server({kPing, http(R"({"message":"nobody has it"})", "404 Not Found")});
  const Engine engine(server.path());
  const ScopedDir state(std::filesystem::temp_directory_path(), "hawse-images-");
  EnvironmentIndex index(state.path() / "index.sqlite");
  const auto asked = [&](bool on_request) {
    bool pulled = false;
    const auto look = [&](const Progress& progress) { pulled = pulled || progress.line.find("nobody has it") != std::string::npos; };
    EXPECT_THROW(Images(engine, index, state.path(), on_request).python_base("3.8", look), Error);  // Debian has no 3.8
    return pulled;
  };
  EXPECT_TRUE(asked(false));
  EXPECT_FALSE(asked(false));
  EXPECT_TRUE(asked(true));
}

}  // namespace
}  // namespace hawse::executor
