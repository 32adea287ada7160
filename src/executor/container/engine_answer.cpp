// SPDX-License-Identifier: Apache-2.0
#include "executor/container/engine_answer.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "base/text.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxLineBytes = 1u << 20;
constexpr std::size_t kLastLines = 15;
constexpr std::size_t kMaxQuoted = 2000;

struct Advice {
  const char* part;  // of the engine's message
  const char* hint;
};
constexpr Advice kAdvice[] = {
    {"could not select device driver", "the engine can't hand out GPUs: install nvidia-container-toolkit and restart the engine, or leave out gpus:"},
    {"o such image", "pull or build it first, or check its name under image:"},
    {"no space left on device", "make room: hawse image prune, or docker system prune"},
    {"bind source path does not exist", "check the paths under mounts:"},
    {"network", "see `docker network ls` for the names that network: may have"},
    {"range of CPUs", "lower limits.cpus"},
    {"Range of CPUs", "lower limits.cpus"},
    {"memory limit", "raise limits.memory"},
    {"exec format error", "the image is for another processor"},
    {"conflict", "something still uses it: `docker ps -a` shows what"},
    {"permission denied", "see the engine's own log: journalctl -u docker"},
};

const char* hint_for(const std::string& message) {
  for (const auto& [part, hint] : kAdvice)
    if (message.find(part) != std::string::npos) return hint;
  return "";
}

std::string quoted(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.size() > kMaxQuoted) text = text.substr(0, kMaxQuoted) + "...";
  return strip_control(text);
}

}  // namespace

Error unreachable(const std::string& operation, const std::string& socket_path, const HttpError& error) {
  const std::string at = "the container engine at " + socket_path;
  switch (error.error_number()) {
    case ENOENT:
    case ECONNREFUSED:
      return {ErrorCode::engine, operation, at + " does not answer: " + error.what(), "start it: systemctl start docker (or install one: apt install docker.io)"};
    case EACCES:
      return {ErrorCode::engine, operation, at + " refuses: " + error.what(), "add your user to its group, then log in again: sudo usermod -aG docker $USER"};
    case ECANCELED:
      return {ErrorCode::interrupted, operation, error.what()};
    case ECONNRESET:
      return {ErrorCode::engine, operation, at + " is gone: " + error.what(), "it was stopped, or has crashed: see its own log (journalctl -u docker)"};
    case ETIMEDOUT:
      return {ErrorCode::engine, operation, at + " is silent: " + error.what(), "see whether it still works: docker ps"};
    default:
      return {ErrorCode::engine, operation, at + ": " + error.what()};
  }
}

Error complained(const std::string& operation, const std::string& message) {
  return {ErrorCode::engine, operation, "the engine says: " + quoted(message), hint_for(message)};
}

Error refused(const std::string& operation, unsigned status, const std::string& body) {
  const json answer = json::parse(body, nullptr, false);
  const std::string message = text_or(answer, "message");
  if (!message.empty()) return complained(operation, message);
  return complained(operation, fmt::format("HTTP {}, {}", status, body.empty() ? "and nothing else" : body.substr(0, kMaxQuoted)));
}

json parse_answer(const std::string& operation, std::string_view text) {
  json answer = json::parse(text, nullptr, false);
  if (answer.is_discarded())
    throw Error(ErrorCode::engine, operation, "the engine's answer is no JSON: " + quoted(std::string(text.substr(0, 200))));
  return answer;
}

std::string text_of(const std::string& operation, const json& object, const char* key) {
  std::string text = text_or(object, key);
  if (text.empty()) throw Error(ErrorCode::engine, operation, fmt::format("the engine's answer has no {}", key));
  return text;
}

std::string text_or(const json& object, const char* key, const std::string& otherwise) {
  if (!object.is_object()) return otherwise;
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : otherwise;
}

std::int64_t number_or(const json& object, const char* key, std::int64_t otherwise) {
  if (!object.is_object()) return otherwise;
  const auto at = object.find(key);
  return at != object.end() && at->is_number_integer() ? at->get<std::int64_t>() : otherwise;
}

bool flag_or(const json& object, const char* key, bool otherwise) {
  if (!object.is_object()) return otherwise;
  const auto at = object.find(key);
  return at != object.end() && at->is_boolean() ? at->get<bool>() : otherwise;
}

Labels labels_or_none(const json& object, const char* key) {
  Labels labels;
  if (!object.is_object() || !object.contains(key) || !object[key].is_object()) return labels;
  for (const auto& [name, value] : object[key].items())
    if (value.is_string()) labels[name] = value.get<std::string>();
  return labels;
}

std::vector<std::string> texts_or_none(const json& object, const char* key) {
  std::vector<std::string> texts;
  if (!object.is_object() || !object.contains(key) || !object[key].is_array()) return texts;
  for (const auto& value : object[key])
    if (value.is_string()) texts.push_back(value.get<std::string>());
  return texts;
}

std::string demultiplexed(std::string_view logs) {
  constexpr std::size_t kHeader = 8;
  std::string text;
  while (logs.size() >= kHeader) {
    std::size_t size = 0;
    for (std::size_t i = 4; i < kHeader; ++i) size = size << 8 | static_cast<unsigned char>(logs[i]);
    logs.remove_prefix(kHeader);
    size = std::min(size, logs.size());
    text += logs.substr(0, size);
    logs.remove_prefix(size);
  }
  return text;
}

void ProgressReader::feed(std::string_view bytes) {
  pending_ += bytes;
  std::size_t start = 0;
  for (std::size_t end; (end = pending_.find('\n', start)) != std::string::npos; start = end + 1)
    line(std::string_view(pending_).substr(start, end - start));
  pending_.erase(0, start);
  if (pending_.size() > kMaxLineBytes) throw Error(ErrorCode::engine, operation_, "the engine's answer has a line of more than 1 MiB");
}

void ProgressReader::finish() {
  const std::string rest = std::move(pending_);
  pending_.clear();
  line(rest);
}

void ProgressReader::line(std::string_view text) {
  if (text.find_first_not_of(" \r\t") == std::string_view::npos) return;
  const json event = parse_answer(operation_, text);
  if (const std::string error = text_or(event, "error"); !error.empty()) {
    std::string message = error;
    if (!last_output_.empty()) message += "\nits last lines:";
    for (const auto& output : last_output_) message += "\n  " + output;
    throw complained(operation_, message);
  }
  if (event.is_object() && event.contains("aux")) id_ = text_or(event["aux"], "ID", id_);
  EngineProgress progress{text_or(event, "id"), text_or(event, "status", text_or(event, "stream"))};
  while (!progress.text.empty() && (progress.text.back() == '\n' || progress.text.back() == '\r')) progress.text.pop_back();
  if (progress.text.starts_with("sha256:")) id_ = progress.text;
  if (event.is_object() && event.contains("progressDetail")) {
    progress.done = static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_or(event["progressDetail"], "current", 0)));
    progress.total = static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_or(event["progressDetail"], "total", 0)));
  }
  if (progress.text.empty()) return;
  if (event.contains("stream")) {
    last_output_.push_back(progress.text);
    if (last_output_.size() > kLastLines) last_output_.erase(last_output_.begin());
  }
  if (on_progress_) on_progress_(progress);
}

}  // namespace hawse::executor
