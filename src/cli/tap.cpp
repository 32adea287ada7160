// SPDX-License-Identifier: Apache-2.0
//
// `hawse tap`: watches what a node of a running session sends, as one more reader of that output, whose link drops frames instead of holding up the node.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <thread>

#include "base/error.hpp"
#include "base/exit_codes.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/frame_text.hpp"
#include "cli/sessions.hpp"
#include "node/endpoint.hpp"
#include "nodes/catalogue.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t kLookNs = 100'000'000;       // how soon Ctrl-C is seen
constexpr unsigned kFramesWaiting = 16;
constexpr useconds_t kBeforeAskingAgainUs = 200'000;

volatile sig_atomic_t interrupted = 0;

struct Options {
  std::vector<std::string> names;  // [session] node.port
  std::string as = "text", file;
  std::uint64_t count = 0;
};

// Where frames go to. Each is shown when it comes; finish() completes a file.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void show(const Frame&) = 0;
  virtual void finish() {}
};

class LineSink : public Sink {
 public:
  LineSink(std::FILE* out, bool as_json) : out_(out), as_json_(as_json) {}
  void show(const Frame& frame) override {
    fmt::print(out_, "{}\n", as_json_ ? to_line(json_of(frame.info(), frame.bytes())) : text_of(frame.info(), frame.bytes()));
    std::fflush(out_);
  }

 private:
  std::FILE* out_;
  const bool as_json_;
};

class RawSink : public Sink {
 public:
  explicit RawSink(std::FILE* out) : out_(out) {}
  void show(const Frame& frame) override {
    if (std::fwrite(frame.bytes().data(), 1, frame.bytes().size(), out_) != frame.bytes().size()) throw Error::from_errno("write a frame", "");
    std::fflush(out_);
  }

 private:
  std::FILE* out_;
};

// Frames go to their time: where some were left out there is silence.
class WavSink : public Sink {
 public:
  explicit WavSink(const std::string& file) : out_(nodes::open_frame_writer(file.empty() ? "pipe:1" : file, "wav")) {}
  void show(const Frame& frame) override {
    if (frame.info().type != FrameType::audio) throw Error(ErrorCode::usage, "--as wav", std::string("it sends ") + to_string(frame.info().type), "only audio can be one; try --as json");
    out_->write(frame);
  }
  void finish() override { out_->finish(); }

 private:
  std::unique_ptr<nodes::FrameWriter> out_;
};

// One picture a file: FILE where one was asked for, else FILE with the frame's number before its ending.
class PngSink : public Sink {
 public:
  PngSink(std::string file, bool only_one) : file_(std::move(file)), only_one_(only_one) {}
  void show(const Frame& frame) override {
    if (frame.info().type != FrameType::video && frame.info().type != FrameType::image)
      throw Error(ErrorCode::usage, "--as png", std::string("it sends ") + to_string(frame.info().type), "only pictures can be one; try --as json");
    const auto out = nodes::open_frame_writer(name_of(frame), "image2");
    out->write(frame);
    out->finish();
    fmt::print(stderr, "{}\n", name_of(frame));
  }

 private:
  std::string name_of(const Frame& frame) const {
    if (only_one_) return file_;
    const std::size_t dot = file_.rfind('.');
    return fmt::format("{}-{:06}{}", file_.substr(0, dot), frame.info().sequence, file_.substr(dot));
  }

  const std::string file_;
  const bool only_one_;
};

std::unique_ptr<Sink> make_sink(const Options& options, std::FILE* out) {
  if (options.as == "wav") return std::make_unique<WavSink>(options.file);
  if (options.as == "png") return std::make_unique<PngSink>(options.file, options.count == 1);
  if (options.as == "raw") return std::make_unique<RawSink>(out);
  return std::make_unique<LineSink>(out, options.as == "json");
}

void check(const Options& options) {
  if (options.as == "png" && !options.file.ends_with(".png")) throw Error(ErrorCode::usage, "--as png", "it needs a file", "add -o picture.png");
  if ((options.as == "wav" || options.as == "raw") && options.file.empty() && ::isatty(1) == 1)
    throw Error(ErrorCode::usage, "--as " + options.as, "its output is no text for a terminal", "add -o FILE, or send it to another command");
}

struct Seen {
  std::uint64_t frames = 0, missed = 0, last = 0;  // last: its sequence

  void count(std::uint64_t sequence) {
    if (last != 0 && sequence > last) missed += sequence - last - 1;
    last = sequence;
    ++frames;
  }
};

enum class End { stream, hang_up, enough };

// One connection: until the stream ends, the session takes the tap away, or it is enough.
End watch(SessionSocket session, const std::string& node, const std::string& port, const Options& options, Sink& sink, Seen& seen) {
  session.ask({{"type", "tap"}, {"node", node}, {"port", port}, {"queue", options.as == "png" ? 1u : kFramesWaiting}});
  if (!session.next(5000)) return End::hang_up;
  try {
    node::Endpoint endpoint(session.release(), node::HangUp::tell, "tap");
    endpoint.open();
    for (;;) {
      const node::Event event = endpoint.next(node::Endpoint::kAnyPort, kLookNs);
      if (event.kind == node::Event::Kind::ended) return End::stream;
      if (interrupted != 0) return End::enough;
      if (event.kind != node::Event::Kind::frame) continue;
      if (seen.last != 0 && event.frame.info().sequence <= seen.last) continue;  // seen before the node was started again
      seen.count(event.frame.info().sequence);
      sink.show(event.frame);
      if (options.count != 0 && seen.frames == options.count) return End::enough;
    }
  } catch (const Stopped&) {
    return End::hang_up;
  }
}

std::optional<SessionSocket> session_with(const std::string& id) {
  for (auto& session : SessionSocket::all())
    if (session.about()["id"] == id) return std::move(session);
  return std::nullopt;
}

std::string state_of(SessionSocket& session, const std::string& node) {
  for (const auto& message : session.must_answer({{"type", "status"}}))
    if (message["type"] == "node" && message["node"] == node) return message["state"];
  return "";
}

// The session took the tap away: the node is started again. nullopt: no, the session or the node has ended.
std::optional<SessionSocket> wait_for_restart(const std::string& id, const std::string& node) {
  while (interrupted == 0) {
    ::usleep(kBeforeAskingAgainUs);
    auto session = session_with(id);
    const std::string state = session ? state_of(*session, node) : "";
    if (state == "running") return session;
    if (state.empty() || state == "ended" || state == "failed") return std::nullopt;
  }
  return std::nullopt;
}

void tap(const Options& options) {
  check(options);
  const std::string& wanted = options.names.back();
  const std::string node = wanted.substr(0, wanted.find('.'));
  const std::string port = node.size() < wanted.size() ? wanted.substr(node.size() + 1) : "";
  std::optional<SessionSocket> session = SessionSocket::find(options.names.size() == 2 ? options.names[0] : "");
  const std::string id = session->about()["id"];

  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(nullptr, &std::fclose);
  if (!options.file.empty() && (options.as == "text" || options.as == "json" || options.as == "raw")) {
    file.reset(std::fopen(options.file.c_str(), "we"));
    if (!file) throw Error::from_errno("write a file", options.file);
  }
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = 1; };
  for (const int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, nullptr);

  Seen seen;
  std::unique_ptr<Sink> sink = make_sink(options, file ? file.get() : stdout);
  while (session) {
    const End end = watch(std::move(*session), node, port, options, *sink, seen);
    session.reset();
    if (end == End::hang_up) session = wait_for_restart(id, node);
  }
  if (seen.frames != 0) sink->finish();
  fmt::print(stderr, "{} {} shown, {} left out\n", seen.frames, seen.frames == 1 ? "frame" : "frames", seen.missed);
}

}  // namespace

void add_tap(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("tap", "Watch what a node of a running session sends, without slowing it");
  command->footer("Examples:\n  hawse tap speech.out\n  hawse tap 3f2a source.audio --as wav -o heard.wav\n  hawse tap camera.video --as png -n 1 -o now.png\n"
                  "  hawse tap recognise --as json | jq -r .text\nFrames that come faster than they are shown are left out, and counted. Ends with the stream, or on Ctrl-C.");
  auto options = std::make_shared<Options>();
  command->add_option("names", options->names, "The session (not needed where one runs), and the node's output; a node alone where it has one output")
      ->required()->expected(1, 2)->type_name("[SESSION] NODE[.PORT]");
  command->add_option("--as", options->as, "How frames are shown")->check(CLI::IsMember({"text", "json", "wav", "png", "raw"}))->capture_default_str();
  command->add_flag_callback("--json", [options] { options->as = "json"; }, "The same as --as json");
  command->add_option("-n,--count", options->count, "End after so many frames")->type_name("N");
  command->add_option("-o,--output", options->file, "Write to this file")->type_name("FILE");
  command->callback([options] { tap(*options); });
}

}  // namespace hawse::cli
