// SPDX-License-Identifier: Apache-2.0
#include "executor/warm.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/socket.hpp"
#include "base/subprocess.hpp"

namespace hawse::executor {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kReply_ms = 5000, kTake_ms = 1000;
constexpr const char* kAsk = "ask the keeper of what is warm";
constexpr unsigned kStartAttempts = 200;  // 25 ms apart: another keeper may just be ending, or beginning

Error gone() { return {ErrorCode::system, kAsk, "it has ended", "its log says why: " + keeper_log().string()}; }

// One question to the keeper, and what it answers.
class Question {
 public:
  // Throws Error where none listens.
  explicit Question(const json& request) : fd_(connect_to((keeper_folder() / "socket").string())) {
    json whole = request;
    whole["version"] = 1;
    if (!send_message(fd_.get(), whole.dump())) throw gone();
  }

  // timeout_ms < 0: as long as it takes, or until the interrupt.
  Message answer(json* body, int timeout_ms, Interrupt* interrupt = nullptr, ErrorCode refused = ErrorCode::engine) {
    const Interrupt::Waiting waiting(interrupt, [this] { ::shutdown(fd_.get(), SHUT_RDWR); });
    pollfd one{fd_.get(), POLLIN, 0};
    if (::poll(&one, 1, timeout_ms) == 0)
      throw Error(ErrorCode::system, kAsk, "it does not answer", "its log: " + keeper_log().string());
    auto message = receive_message(fd_.get());
    if (interrupt != nullptr) interrupt->check("wait for what is kept warm");
    if (!message) throw gone();
    *body = json::parse(message->text, nullptr, false);
    if (!body->is_object()) throw Error(ErrorCode::internal, kAsk, "its answer makes no sense");
    if (body->value("type", "") == "error")
      throw Error(refused, "start what is kept warm", body->value("text", ""), body->value("hint", ""));
    return std::move(*message);
  }

 private:
  UniqueFd fd_;
};

// Runs the question against a keeper that is started where none listens.
Question ask_or_start(const json& request, Interrupt* interrupt) {
  if (const auto bytes = request.dump().size(); bytes + 64 > kMaxMessageBytes)
    throw Error(ErrorCode::usage, "keep a node warm", "what shapes it takes " + std::to_string(bytes) + " bytes, and 64 KiB is the most",
                "fewer or shorter env: and mounts:");
  for (unsigned attempt = 0;; ++attempt) {
    try {
      return Question(request);
    } catch (const Error& error) {
      if (attempt == kStartAttempts)
        throw Error(ErrorCode::system, "start the keeper of what is warm", error.context(), "its log: " + keeper_log().string());
    }
    if (attempt % 8 == 0) {
      SpawnOptions options;
      options.argv = {(resources_dir() / "hawse-keeper").string()};
      options.env = current_environment();
      const auto result = run_to_end(options, nullptr, interrupt);  // it goes on in the background
      if (result.status.signalled || result.status.value != 0)
        throw Error(ErrorCode::system, "start the keeper of what is warm", result.err.empty() ? "it has ended at once" : result.err, "its log: " + keeper_log().string());
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
  }
}

Lent lent_from(const json& body, Message message) {
  if (body.value("type", "") != "lent" || message.fds.size() != (body.value("shared", false) ? 1u : 2u))
    throw Error(ErrorCode::internal, "take what is kept warm", "the keeper's answer makes no sense");
  Lent lent{body.value("container", ""), body.value("pid", 0), std::move(message.fds[0]), {}};
  lent.keeper = message.fds.size() > 1 ? std::move(message.fds[1]) : lent.zygote.duplicate();
  return lent;
}

std::string pipeline_of(const pipeline::Node& node) { return fs::absolute(node.file).lexically_normal().string(); }

json slot_of(const pipeline::Node& node) { return {{"pipeline", pipeline_of(node)}, {"node", node.id}}; }

// Its files, as they are now.
json content_of(const pipeline::Node& node) {
  json all = json::array();
  for (const auto& file : node.code_files) all.push_back({file.string(), sha256_hex(read_file(file))});
  return all;
}

}  // namespace

std::string key_of(const pipeline::Node& node, const json& shape) {
  return sha256_hex(json{shape, content_of(node), node.share ? "" : pipeline_of(node), node.share}.dump());
}

json to_json(const Recipe& recipe) {
  return {{"container", recipe.container}, {"process", recipe.process}, {"import", recipe.import}, {"key", recipe.key}, {"timeout_ns", recipe.timeout_ns}};
}

Recipe recipe_from(const json& text) { return {text.at("container"), text.at("process"), text.at("import"), text.at("key"), text.at("timeout_ns")}; }

fs::path keeper_folder() { return run_dir() / "keeper"; }
fs::path keeper_log() { return state_dir() / "keeper.log"; }

bool keeper_runs() noexcept {
  std::error_code absent;
  return fs::exists(keeper_folder() / "socket", absent);
}

std::string mark_of(const std::string& pipeline, const std::string& node) { return "kept-" + sha256_hex(pipeline + "\n" + node).substr(0, 16); }

bool is_kept(const pipeline::Node& node) {
  std::error_code absent;
  return fs::exists(keeper_folder() / mark_of(pipeline_of(node), node.id), absent);
}

std::optional<Lent> take_warm(const pipeline::Node& node, const Recipe& recipe) {
  if (!is_kept(node)) return std::nullopt;
  json request = slot_of(node), body;
  request.update({{"type", "take"}, {"recipe", to_json(recipe)}, {"count", node.pool}});
  try {
    Message message = Question(request).answer(&body, kTake_ms);
    if (body.value("type", "") == "none") return std::nullopt;
    return lent_from(body, std::move(message));
  } catch (const Error&) {
    return std::nullopt;  // it has just ended, or its socket is what a killed one left
  }
}

void keep_warm(const pipeline::Node& node, const Recipe& recipe, unsigned count, bool wait, Interrupt* interrupt) {
  json request = slot_of(node), body;
  request.update({{"type", "keep"}, {"recipe", to_json(recipe)}, {"count", count}, {"wait", wait}});
  ask_or_start(request, interrupt).answer(&body, wait ? -1 : kReply_ms, interrupt, recipe.container.is_null() ? ErrorCode::environment : ErrorCode::engine);
}

std::optional<Lent> take_or_keep(const pipeline::Node& node, const Recipe& recipe, unsigned attempt, Interrupt* interrupt) {
  auto lent = take_warm(node, recipe);
  if (!lent && node.pool > 0 && attempt == 1) keep_warm(node, recipe, node.pool, false, interrupt);
  return lent;
}

Lent join_shared(const Recipe& recipe, Interrupt* interrupt) {
  json body;
  Message message = ask_or_start({{"type", "join"}, {"recipe", to_json(recipe)}}, interrupt).answer(&body, -1, interrupt);
  return lent_from(body, std::move(message));
}

std::vector<json> all_kept() {
  std::vector<json> all;
  if (!keeper_runs()) return all;
  json body;
  std::optional<Question> question;
  try {
    question.emplace(json{{"type", "warm"}});
  } catch (const Error&) {
    return all;  // a killed one's socket
  }
  for (question->answer(&body, kReply_ms); body.value("type", "") != "end"; question->answer(&body, kReply_ms)) all.push_back(body);
  return all;
}

unsigned stop_warm(const fs::path& pipeline) {
  if (!keeper_runs()) return 0;
  json body;
  std::optional<Question> question;
  try {
    question.emplace(json{{"type", "unkeep"}, {"pipeline", pipeline.string()}});
  } catch (const Error&) {
    return 0;
  }
  question->answer(&body, -1);
  return body.value("removed", 0u);
}

}  // namespace hawse::executor
