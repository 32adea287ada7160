// SPDX-License-Identifier: Apache-2.0
//
// hawse-keeper: see keeper.hpp. Goes into the background, and returns there when it listens; where another one keeps this folder already, at once.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "executor/process_id.hpp"
#include "runtime/keeper.hpp"

namespace {

namespace fs = std::filesystem;
using namespace hawse;

// None: somebody else has it. The file goes with its keeper, so a lock on one that lies there no more is none.
UniqueFd lock_in(const fs::path& folder) {
  const fs::path file = folder / "lock";
  for (;;) {
    fs::create_directory(folder);
    fs::permissions(folder, fs::perms::owner_all);
    UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd && errno == ENOENT) continue;  // another one has just ended, and its folder with it
    if (!fd) throw Error::from_errno("keep nodes warm", file.string());
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return {};
    struct stat here {
    }, ours{};
    if (::stat(file.c_str(), &here) == 0 && ::fstat(fd.get(), &ours) == 0 && here.st_ino == ours.st_ino) return fd;
  }
}

int keep(const fs::path& folder, int ready) {
  {
    runtime::Keeper keeper(folder, executor::keeper_log());
    write_file(folder / "owner", executor::process_id(::getpid()));
    if (::write(ready, "r", 1) < 0) return 1;
    ::close(ready);
    keeper.run();
  }
  std::error_code gone;
  fs::remove_all(folder, gone);
  return 0;
}

int start() {
  const fs::path folder = executor::keeper_folder();
  const UniqueFd lock = lock_in(folder);
  if (!lock) return 0;
  const UniqueFd log(::open(executor::keeper_log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));  // for last words of the keeper itself
  if (!log) throw Error::from_errno("keep nodes warm", executor::keeper_log().string());
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) throw Error::from_errno("keep nodes warm", "pipe");
  const pid_t child = ::fork();
  if (child < 0) throw Error::from_errno("keep nodes warm", "fork");
  if (child > 0) {
    ::close(ready[1]);
    char byte = 0;
    return ::read(ready[0], &byte, 1) == 1 ? 0 : 1;
  }
  ::close(ready[0]);
  ::setsid();
  if (::chdir("/") != 0) return 1;
  ::signal(SIGPIPE, SIG_IGN);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int stream : {0, 1}) ::dup2(null.get(), stream);
  ::dup2(log.get(), 2);
  return keep(folder, ready[1]);
}

}  // namespace

int main() {
  try {
    return start();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hawse-keeper: %s\n", error.what());
    return 1;
  }
}
