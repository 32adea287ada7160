// SPDX-License-Identifier: Apache-2.0
//
// Write a node in C++.
//
// Order of calls. setup() once; then, for a node with inputs, process() once a frame until every input has ended (process_matched() once a set of
//                 frames that belong together, where the manifest asks for that with inputs: {match: timestamp}); for a source (no inputs),
// produce() again and again until it returns false or the run is stopped; then finish() once; close() last, also after a failure.
// Threading.      All calls come from one thread of the node. Only Frame handles may travel to others.
// Failure.        Any exception that leaves one of these is the node's failure: reported with its text, handled by the restart policy, and
//                 nobody else's business.
// Blocking.       output().send() waits where a `block` edge is full; it throws Stopped when the run is killed meanwhile. Let it pass.
// Flush.          output().flush() overtakes what was sent: what its readers haven't taken yet is void, and flushed() is the next call that each gets.
//                 While a flush waits, interrupted() is true, and what is sent is void as well: given up, counted as flushed, never waited with.
//
//   class Gain : public hawse::Node {
//     void setup(const hawse::Params& params) override { gain_ = params.number("gain"); }
//     void process(const hawse::Input& in) override {
//       auto out = output("out").like(in.frame);
//       auto from = in.frame.as<float>();
//       std::ranges::transform(from, out.as<float>().begin(), [&](float x) { return x * gain_; });
//       output("out").send(std::move(out));
//     }
//   };
//   HAWSE_PROGRAM(Gain, R"({"inputs": {"audio": "audio"}, "outputs": {"out": "audio"}, "params": {"gain": {"type": "float", "default": 1}}})")
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "hawse/frame.hpp"

namespace hawse {

class Stopped : public std::runtime_error {
 public:
  Stopped() : std::runtime_error("the run was stopped") {}
};

// Parameters from the manifest, already checked against the signature, defaults filled in. Missing or of another type: throws std::invalid_argument.
class Params {
 public:
  struct Data;
  explicit Params(std::shared_ptr<const Data>) noexcept;
  bool has(std::string_view name) const;
  bool boolean(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  std::string text(std::string_view name) const;
  std::uint64_t bytes(std::string_view name) const;        // a size: "4 MiB" or a number
  std::int64_t duration_ns(std::string_view name) const;   // "20ms"; a bare number is seconds
  std::vector<std::int64_t> integers(std::string_view name) const;
  Params child(std::string_view name) const;               // a nested mapping; empty if absent
  std::string json(std::string_view name) const;           // anything, as JSON text; "null" if absent

 private:
  std::shared_ptr<const Data> data_;
};

struct Input {
  std::string_view port;
  Frame frame;
};

// Frames that belong together: one of every connected input, where the manifest says inputs: {match: timestamp}.
struct Matched {
  std::vector<Input> inputs;
  const Frame& operator[](std::string_view port) const;  // throws std::out_of_range where no edge leads into that port
};

class Output {
 public:
  virtual ~Output() = default;
  virtual OutFrame allocate(std::size_t payload_bytes) = 0;        // waits for a free slot; grows the arena up to its limit, then throws std::bad_alloc
  virtual void send(OutFrame) = 0;                                 // waits on full `block` edges
  virtual bool connected() const noexcept = 0;                     // some edge still reads this port
  // A forwarded frame: given to this port's readers. Costs one copy of the payload (another node's arena), and is counted as such.
  virtual void forward(const Frame&) = 0;
  // What was sent and not yet taken is void, and the next that this port's readers hear of is the flush.
  virtual void flush() = 0;

  OutFrame audio(std::uint64_t samples, std::uint64_t channels, std::uint32_t rate, Dtype = Dtype::float32);
  OutFrame video(std::uint64_t height, std::uint64_t width, PixelFormat, std::uint32_t rate_numerator, std::uint32_t rate_denominator);
  OutFrame image(std::uint64_t height, std::uint64_t width, PixelFormat);
  OutFrame tensor(std::vector<std::uint64_t> shape, Dtype);
  OutFrame text(std::string_view utf8);
  OutFrame json(std::string_view utf8);
  OutFrame like(const Frame&);  // same type, shape and times; payload not filled
};

enum class LogLevel { debug, info, warning, error };

// What the runtime gives a node; reached through Node's protected members.
class Context {
 public:
  virtual ~Context() = default;
  virtual const std::string& id() const noexcept = 0;
  virtual Output* output(std::string_view port) noexcept = 0;  // nullptr: no edge uses it, or there is none
  virtual bool has_input(std::string_view port) const noexcept = 0;  // some edge leads into it
  virtual void log(LogLevel, std::string_view text) = 0;
  virtual void progress(std::string_view what, std::uint64_t done, std::uint64_t total, std::string_view unit) = 0;
  virtual bool interrupted() const noexcept = 0;               // a flush waits: what is in hand is void, flushed() comes next
  virtual bool stopping() const noexcept = 0;                  // asked to end: a source should return soon
  virtual bool sleep_until(std::int64_t monotonic_ns) = 0;     // for sources with a rate; false: stopping
  virtual void alive() noexcept = 0;                           // a sign of life in work that takes long: hang_timeout begins anew. Any thread
};

class Node {
 public:
  virtual ~Node() = default;
  virtual void setup(const Params&) {}
  virtual void process(const Input&) {}
  virtual void process_matched(const Matched&);  // a node that has it says "matched": true in its signature
  virtual bool produce() { return false; }
  // A flush came into that port: drop what you hold of it. True: it is passed on to all outputs.
  virtual bool flushed(std::string_view /*port*/) { return true; }
  virtual void input_ended(std::string_view /*port*/) {}  // all edges into that port have ended
  virtual void finish() {}
  virtual void close() {}

  void attach(Context& context) noexcept { context_ = &context; }

 protected:
  const std::string& id() const noexcept { return context_->id(); }
  bool has_input(std::string_view port) const noexcept { return context_->has_input(port); }
  bool has_output(std::string_view port) const noexcept { return context_->output(port) != nullptr; }
  Output& output(std::string_view port);  // an unconnected one accepts and drops everything
  bool interrupted() const noexcept { return context_->interrupted(); }
  Context& context() noexcept { return *context_; }
  void log(LogLevel level, std::string_view text) { context_->log(level, text); }

 private:
  Context* context_ = nullptr;
};

// The body of main() of a node's program. Exit code 0, or 1 after a failure; 2 when it wasn't started by the runtime (and says so).
int run_program(int argc, char** argv, std::unique_ptr<Node> (*make)(), const char* signature);

}  // namespace hawse

// Defines main(), and puts the signature where `hawse check` can read it without running the program.
#define HAWSE_PROGRAM(Class, signature)                                                            \
  __attribute__((section(".hawse"), used)) static const char hawse_signature_text[] = signature;   \
  int main(int argc, char** argv) {                                                                \
    return ::hawse::run_program(                                                                   \
        argc, argv, [] { return std::unique_ptr<::hawse::Node>(new Class); }, hawse_signature_text); \
  }
