// SPDX-License-Identifier: Apache-2.0
#include "executor/python/uses.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/files.hpp"

namespace hawse::executor {

namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& state, const std::string& key) {
  std::string name = key;  // "sha256:3f2a" or "hawse/env:3f2a"
  std::replace(name.begin(), name.end(), '/', '_');
  return state / "uses" / name;
}

}  // namespace

Use::Use(const fs::path& state, const std::string& key, const std::string& who) {
  const fs::path folder = folder_of(state, key);
  fs::create_directories(folder);
  std::string name = folder / "XXXXXX";
  fd_.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd_) throw Error::from_errno("note the use of an environment", folder.string());
  file_ = name;
  // Shared is enough: who looks for leftovers asks for it alone. One who asked between the two calls has removed the file; then it is put there anew.
  if (::flock(fd_.get(), LOCK_SH) != 0) throw Error::from_errno("note the use of an environment", name);
  if (::access(name.c_str(), F_OK) != 0) {
    fd_.reset(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd_ || ::flock(fd_.get(), LOCK_SH) != 0) throw Error::from_errno("note the use of an environment", name);
  }
  if (::write(fd_.get(), who.data(), who.size()) < 0) throw Error::from_errno("note the use of an environment", name);
}

Use::~Use() {
  std::error_code ignored;
  fs::remove(file_, ignored);
}

std::vector<std::string> users_of(const fs::path& state, const std::string& key) {
  std::vector<std::string> users;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_of(state, key), error)) {
    const UniqueFd fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) continue;
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      fs::remove(entry.path(), error);
      continue;
    }
    users.push_back(read_file(entry.path()));
  }
  std::sort(users.begin(), users.end());
  users.erase(std::unique(users.begin(), users.end()), users.end());
  return users;
}

}  // namespace hawse::executor
