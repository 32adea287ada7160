// SPDX-License-Identifier: Apache-2.0
#include "runtime/guard.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace hawse::runtime {

Guard::Guard(const std::string& session) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno("start the guard", "pipe");
  UniqueFd read_end(ends[0]);
  pipe_.reset(ends[1]);
  SpawnOptions options;
  options.argv = {(resources_dir() / "hawse-guard").string()};
  options.env = current_environment();
  options.fds = {{read_end.get(), 3}};
  options.die_with_parent = false;
  process_ = Subprocess::spawn(options);
  add("session " + session);
}

Guard::~Guard() {
  add("done");
  pipe_.reset();
  if (process_) process_.wait();
}

void Guard::add(const std::string& line) noexcept {
  const std::string text = line + "\n";  // below PIPE_BUF: written whole
  (void)!write(pipe_.get(), text.data(), text.size());
}

}  // namespace hawse::runtime
