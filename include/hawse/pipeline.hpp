// SPDX-License-Identifier: Apache-2.0
//
// Embed a pipeline: start it from a program, send frames into its named inputs and receive from its named outputs.
//
//   auto session = hawse::Pipeline("captions.yaml", {{"output", "x.srt"}}).start();
//   auto frame = session.input("mic").audio(512, 1, 16000);
//   ... fill frame.as<float>() ...
//   session.input("mic").send(std::move(frame));
//   while (auto text = session.receive("captions")) std::cout << text->text() << '\n';
//
// Threading: one thread drives a session.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "hawse/node.hpp"

namespace hawse {

class Session {
 public:
  struct Impl;
  explicit Session(std::unique_ptr<Impl>) noexcept;
  Session(Session&&) noexcept;
  ~Session();  // stops at once

  Output& input(const std::string& name);      // throws std::out_of_range with the names there are
  void end_input(const std::string& name);     // end of that stream
  // Waits for the next frame; nullopt at the end of the stream. With a timeout, nullopt too when it passes: see ended().
  std::optional<Frame> receive(const std::string& name, std::optional<std::chrono::nanoseconds> timeout = {});
  bool ended(const std::string& name) const;
  // Called from receive() where a node has flushed what leads to that output: what had come and wasn't received yet is dropped.
  void on_flush(std::function<void(const std::string& name)>);
  void stop();                                 // in order, within the grace period
  int wait();                                  // to the end; the exit code `hawse run` would have
 private:
  std::unique_ptr<Impl> impl_;
};

// Whether `hawse ps`, `top`, `logs` and the like find the session (docs/control.md).
enum class ControlSocket { none, open };

class Pipeline {
 public:
  explicit Pipeline(std::string file, std::map<std::string, std::string> variables = {});  // throws hawse::Error on a bad manifest
  Session start(ControlSocket = ControlSocket::none);

 private:
  std::string file_;
  std::map<std::string, std::string> variables_;
};

}  // namespace hawse
