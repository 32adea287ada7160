// SPDX-License-Identifier: Apache-2.0
#include "executor/container/engine.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/fd.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "executor/container/engine_answer.hpp"
#include "executor/container/gpus.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

constexpr std::pair<int, int> kOldestApi{1, 40}, kNewestApi{1, 47}, kPodmanWithGpus{5, 4};
constexpr std::int64_t kFirstAnswer_ns = 10'000'000'000;
constexpr std::int64_t kQuickAnswer_ns = 5'000'000'000;
constexpr std::uint64_t kStreamLimitBytes = 256ull << 20;

// 0, or the errno that a connect gives: whether somebody listens there.
int try_connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

std::pair<int, int> parse_api(const std::string& operation, const std::string& text) {
  std::pair<int, int> api;
  if (std::sscanf(text.c_str(), "%d.%d", &api.first, &api.second) != 2)
    throw Error(ErrorCode::engine, operation, "the engine names an API version that is none: " + strip_control(text.substr(0, 40)));
  return api;
}

std::string filters_of(const Labels& labels) {
  json all = json::array();
  for (const auto& [name, value] : labels) all.push_back(value.empty() ? name : name + "=" + value);
  return url_encoded(json{{"label", all}}.dump());
}

// "2024-05-01T10:20:30.123Z" to seconds since the epoch; 0 where it isn't that.
std::int64_t seconds_of(const std::string& time) {
  std::tm parts{};
  if (!::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts)) return 0;
  return ::timegm(&parts);
}

// "python:3.9-slim" to name and tag; a digest and a registry's port stay with the name.
std::pair<std::string, std::string> split_reference(const std::string& reference) {
  const auto colon = reference.rfind(':');
  if (reference.find('@') != std::string::npos || colon == std::string::npos || reference.find('/', colon) != std::string::npos) return {reference, "latest"};
  return {reference.substr(0, colon), reference.substr(colon + 1)};
}

// Podman's names of images are whole; Docker leaves out what goes without saying.
std::vector<std::string> familiar(std::vector<std::string> names) {
  for (auto& name : names)
    for (const std::string_view prefix : {"docker.io/library/", "docker.io/", "localhost/"})
      if (name.starts_with(prefix)) {
        name.erase(0, prefix.size());
        break;
      }
  return names;
}

// Podman sets nofile and nproc even where nobody asked for a value, to more than a service without CAP_SYS_RESOURCE may: so it is asked for ours.
void add_ulimits(json& ulimits) {
  const auto pid_max = static_cast<rlim_t>(std::max(1L, std::atol(read_file("/proc/sys/kernel/pid_max", 64).c_str())));
  for (const auto& [name, which] : {std::pair{"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}}) {
    rlimit ours{};
    ::getrlimit(which, &ours);
    const auto most = static_cast<std::int64_t>(std::min<rlim_t>(ours.rlim_max, which == RLIMIT_NPROC ? pid_max : std::numeric_limits<std::int32_t>::max()));
    ulimits.push_back({{"Name", name}, {"Soft", most}, {"Hard", most}});
  }
}

// What is looked up or cleaned up when something ends: nobody may wait long for it, and an interrupt of the run doesn't end it.
HttpRequest quick(std::string method, std::string target, Interrupt* interrupt = nullptr) {
  HttpRequest request{std::move(method), std::move(target)};
  request.silence_ns = kQuickAnswer_ns;
  request.interrupt = interrupt;
  return request;
}

}  // namespace

std::string Engine::find_socket() {
  const std::string operation = "find the container engine";
  if (const char* host = std::getenv("DOCKER_HOST"); host && *host) {
    const std::string text = host;
    if (text.starts_with("unix://")) return text.substr(7);
    throw Error(ErrorCode::engine, operation, "DOCKER_HOST is " + strip_control(text) + ", and only unix:// works",
                "frames are shared memory: containers must run on this machine. unset DOCKER_HOST");
  }
  std::vector<std::string> candidates{"/var/run/docker.sock"};
  if (const char* dir = std::getenv("XDG_RUNTIME_DIR"); dir && *dir) candidates.push_back(std::string(dir) + "/podman/podman.sock");
  candidates.push_back("/run/podman/podman.sock");
  int first_error = 0;
  for (const auto& path : candidates) {
    const int error = try_connect(path);
    if (error == 0) return path;
    if (first_error == 0) first_error = error;
  }
  throw unreachable(operation, candidates.front(), HttpError(std::strerror(first_error), first_error));
}

Engine::Engine(std::string socket_path, std::shared_ptr<Interrupt> interrupt) : socket_path_(std::move(socket_path)), interrupt_(std::move(interrupt)) {
  const std::string operation = "agree on a version with the container engine";
  HttpRequest ping = request("GET", "/_ping");
  ping.silence_ns = kFirstAnswer_ns;
  HttpResponse response;
  try {
    response = http_call(socket_path_, ping);
  } catch (const HttpError& error) {
    fail(operation, error);
  }
  if (response.status != 200) throw refused(operation, response.status, response.body);
  const auto newest = parse_api(operation, response.api_version);
  const auto agreed = std::min(newest, kNewestApi);
  if (agreed < kOldestApi)
    throw Error(ErrorCode::engine, operation, fmt::format("it speaks API {}.{} at most; needed is one from 1.40 to 1.47", newest.first, newest.second), "Docker 19.03 or newer, or Podman 4 or newer, is needed");
  podman_version_ = response.podman_version;
  api_ = fmt::format("{}.{}", agreed.first, agreed.second);
}

HttpRequest Engine::request(std::string method, std::string target, std::string body) const {
  HttpRequest request{std::move(method), std::move(target), std::move(body)};
  request.interrupt = interrupt_.get();
  return request;
}

void Engine::fail(const std::string& operation, const HttpError& error) const {
  const Error words = unreachable(operation, socket_path_, error);
  const int number = error.error_number();
  const bool asked = number == ETIMEDOUT || number == ECONNRESET;
  if (asked || number == ENOENT || number == ECONNREFUSED) throw Unreachable(words, asked);
  throw words;
}

EngineVersion Engine::version() const {
  const json answer = call("ask the container engine for its version", request("GET", "/version"));
  return {text_or(answer, "Version", "unknown"), api_, text_or(answer, "Arch")};
}

json Engine::call(const std::string& operation, HttpRequest request, std::vector<unsigned> also, unsigned* status) const {
  request.target = "/v" + api_ + request.target;
  HttpResponse response;
  try {
    response = http_call(socket_path_, request);
  } catch (const HttpError& error) {
    fail(operation, error);
  }
  if (status) *status = response.status;
  const bool expected = response.status / 100 == 2 || std::find(also.begin(), also.end(), response.status) != also.end();
  if (!expected) throw refused(operation, response.status, response.body);
  if (response.body.empty() || response.status / 100 != 2) return {};
  return parse_answer(operation, response.body);
}

std::string Engine::stream(const std::string& operation, HttpRequest request, const OnProgress& on_progress) const {
  request.target = "/v" + api_ + request.target;
  request.limit_bytes = kStreamLimitBytes;
  ProgressReader reader(operation, on_progress);
  try {
    const HttpResponse response = http_call(socket_path_, request, [&](std::string_view bytes) { reader.feed(bytes); });
    if (response.status / 100 != 2) throw refused(operation, response.status, response.body);
  } catch (const HttpError& error) {
    fail(operation, error);
  }
  reader.finish();
  return reader.id();
}

json Engine::info() const {
  return call("ask the container engine about itself", request("GET", "/info"));
}

void Engine::check_knows_gpus() const {
  std::pair<int, int> version;
  if (!is_podman() || (std::sscanf(podman_version_.c_str(), "%d.%d", &version.first, &version.second) == 2 && version >= kPodmanWithGpus)) return;
  throw Error(ErrorCode::engine, "ask for GPUs", fmt::format("gpus: was asked for, and the Docker-compatible service of Podman {} ignores that", strip_control(podman_version_)),
              "take Podman 5.4 or newer with the CDI files of nvidia-ctk, or Docker; or leave out gpus:");
}

std::string Engine::create(const std::string& name, const json& wanted, std::vector<std::string>* warnings) const {
  json body = wanted;
  if (is_podman()) {
    json& host = body["HostConfig"];
    add_ulimits(host["Ulimits"]);
    if (host.contains("DeviceRequests")) {
      check_knows_gpus();
      host["DeviceRequests"] = cdi_gpus_of(host["DeviceRequests"]);
    }
  }
  const std::string operation = name.empty() ? "create a container" : "create container " + name;
  const json answer = call(operation, request("POST", "/containers/create" + (name.empty() ? "" : "?name=" + url_encoded(name)),
                                              body.dump(-1, ' ', false, json::error_handler_t::replace)));
  if (warnings != nullptr)
    for (const auto& warning : texts_or_none(answer, "Warnings")) warnings->push_back(strip_control(warning));
  return text_of(operation, answer, "Id");
}

void Engine::start(const std::string& id) const {
  call("start container " + id.substr(0, 12), request("POST", "/containers/" + id + "/start"), {304});
}

int Engine::wait(const std::string& id, Interrupt* interrupt) const {
  HttpRequest waiting = request("POST", "/containers/" + id + "/wait?condition=not-running");
  waiting.silence_ns = 0;
  if (interrupt) waiting.interrupt = interrupt;
  return static_cast<int>(number_or(call("wait for container " + id.substr(0, 12), std::move(waiting)), "StatusCode", -1));
}

std::optional<ContainerState> Engine::inspect(const std::string& id) const {
  const std::string operation = "look at container " + id.substr(0, 12);
  unsigned status = 0;
  const json answer = call(operation, quick("GET", "/containers/" + id + "/json"), {404}, &status);
  if (status == 404) return std::nullopt;
  if (!answer.is_object() || !answer.contains("State")) throw Error(ErrorCode::engine, operation, "the engine's answer has no State");
  const json& state = answer["State"];
  return ContainerState{flag_or(state, "Running", false), static_cast<int>(number_or(state, "ExitCode", 0)), flag_or(state, "OOMKilled", false),
                        text_or(state, "Error"), static_cast<int>(number_or(state, "Pid", 0))};
}

bool Engine::kill(const std::string& id, const char* signal, Interrupt* interrupt) const {
  unsigned status = 0;
  call("kill container " + id.substr(0, 12), quick("POST", "/containers/" + id + "/kill?signal=" + signal, interrupt), {404, 409}, &status);
  return status / 100 == 2;
}

bool Engine::remove(const std::string& id, Interrupt* interrupt) const {
  unsigned status = 0;
  call("remove container " + id.substr(0, 12), quick("DELETE", "/containers/" + id + "?force=true&v=true", interrupt), {404, 409}, &status);
  return status / 100 == 2;
}

std::vector<ContainerSummary> Engine::containers(const Labels& labels) const {
  const std::string operation = "list containers";
  const json answer = call(operation, quick("GET", "/containers/json?all=true&filters=" + filters_of(labels)));
  if (!answer.is_array()) throw Error(ErrorCode::engine, operation, "the engine's answer is no list");
  std::vector<ContainerSummary> found;
  for (const auto& entry : answer) {
    const auto names = texts_or_none(entry, "Names");
    found.push_back({text_of(operation, entry, "Id"), names.empty() ? "" : names.front().substr(names.front().starts_with('/')), text_or(entry, "ImageID"),
                     text_or(entry, "State") == "running", labels_or_none(entry, "Labels")});
  }
  return found;
}

std::string Engine::logs(const std::string& id, unsigned lines) const {
  HttpRequest asked = quick("GET", fmt::format("/v{}/containers/{}/logs?stdout=true&stderr=true&tail={}", api_, id, lines));
  asked.limit_bytes = 1u << 20;
  const std::string operation = "read the log of container " + id.substr(0, 12);
  try {
    const HttpResponse response = http_call(socket_path_, asked);
    if (response.status / 100 != 2) throw refused(operation, response.status, response.body);
    return demultiplexed(response.body);
  } catch (const HttpError& error) {
    fail(operation, error);
  }
}

std::optional<EngineImage> Engine::image(const std::string& reference) const {
  const std::string operation = "look at image " + reference;
  unsigned status = 0;
  const json answer = call(operation, request("GET", "/images/" + url_encoded(reference) + "/json"), {404}, &status);
  if (status == 404) return std::nullopt;
  EngineImage image{text_of(operation, answer, "Id"), familiar(texts_or_none(answer, "RepoTags")), text_or(answer, "Architecture"),
                    static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_or(answer, "Size", 0))), {}, seconds_of(text_or(answer, "Created"))};
  image.digests = familiar(texts_or_none(answer, "RepoDigests"));
  if (answer.contains("Config")) image.labels = labels_or_none(answer["Config"], "Labels");
  return image;
}

bool Engine::has_file(const std::string& id, const std::string& path) const {
  unsigned status = 0;
  call("look into container " + id.substr(0, 12), request("HEAD", "/containers/" + id + "/archive?path=" + url_encoded(path)), {404}, &status);
  return status == 200;
}

std::vector<EngineImage> Engine::images(const Labels& labels) const {
  const std::string operation = "list images";
  const json answer = call(operation, quick("GET", "/images/json?filters=" + filters_of(labels)));
  if (!answer.is_array()) throw Error(ErrorCode::engine, operation, "the engine's answer is no list");
  std::vector<EngineImage> found;
  for (const auto& entry : answer)
    found.push_back({text_of(operation, entry, "Id"), familiar(texts_or_none(entry, "RepoTags")), "",
                     static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_or(entry, "Size", 0))), labels_or_none(entry, "Labels"), number_or(entry, "Created", 0)});
  return found;
}

void Engine::pull(const std::string& reference, const OnProgress& on_progress, std::int64_t silence_ns) const {
  const auto [name, tag] = split_reference(reference);
  HttpRequest pull = request("POST", "/images/create?fromImage=" + url_encoded(name));
  if (name.find('@') == std::string::npos) pull.target += "&tag=" + url_encoded(tag);  // a digest needs none
  pull.silence_ns = silence_ns;
  stream("pull image " + reference, std::move(pull), on_progress);
}

std::string Engine::import_image(const std::filesystem::path& tar, const std::string& tag, const Labels& labels, const OnProgress& on_progress) const {
  HttpRequest importing = request("POST", "/images/create?fromSrc=-&repo=" + url_encoded(tag));  // Podman ignores a tag that stands apart
  for (const auto& [label, value] : labels) importing.target += "&changes=" + url_encoded(fmt::format("LABEL {}={}", label, json(value).dump()));
  importing.body_file = tar;
  importing.content_type = "application/x-tar";
  return stream("import image " + tag, std::move(importing), on_progress);
}

std::string Engine::build(std::string context, const std::string& tag, const Labels& labels, const OnProgress& on_progress, const std::filesystem::path& context_file) const {
  json arguments = json::object();  // proxies of the host: no secret stays in the image, the engine leaves these out of its history
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
    if (const char* value = std::getenv(name)) arguments[name] = value;
  HttpRequest build = request("POST", "/build?rm=true&forcerm=true&networkmode=host&t=" + url_encoded(tag) + "&labels=" + url_encoded(json(labels).dump()) + "&buildargs=" + url_encoded(arguments.dump()),
                              std::move(context));
  build.body_file = context_file;
  build.content_type = "application/x-tar";
  build.silence_ns = 600'000'000'000;
  return stream("build image " + tag, std::move(build), on_progress);
}

void Engine::tag(const std::string& reference, const std::string& tag) const {
  const auto [name, version] = split_reference(tag);
  call("tag image " + reference, request("POST", "/images/" + url_encoded(reference) + "/tag?repo=" + url_encoded(name) + "&tag=" + url_encoded(version)));
}

bool Engine::remove_image(const std::string& reference) const {
  unsigned status = 0;
  call("remove image " + reference, quick("DELETE", "/images/" + url_encoded(reference)), {404}, &status);
  return status != 404;
}

std::string tar_of(const std::map<std::string, std::string>& files) {
  constexpr std::size_t kBlock = 512;
  std::string tar;
  for (const auto& [name, content] : files) {
    std::string header(kBlock, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
    put(0, name.substr(0, 100));
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", content.size()));
    put(136, "00000000000");
    put(148, "        ");  // the checksum counts itself as spaces
    put(156, "0");
    put(257, std::string("ustar\00000", 8));
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    tar += header + content;
    tar.resize((tar.size() + kBlock - 1) / kBlock * kBlock);
  }
  tar.resize(tar.size() + 2 * kBlock);
  return tar;
}

}  // namespace hawse::executor
