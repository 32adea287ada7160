// SPDX-License-Identifier: Apache-2.0
//
// Whole-file reads and writes, the folders that belong to Hawsepipe, and the hash that names what is cached.
#include "base/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace hawse {
namespace fs = std::filesystem;
namespace {

void write_all(int fd, std::string_view text, const fs::path& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw Error::from_errno("write a file", path.string());
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

fs::path environment_path(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? fs::path() : fs::path(value);
}

fs::path made(const fs::path& path, unsigned mode) {
  std::error_code error;
  if (!path.parent_path().empty()) fs::create_directories(path.parent_path(), error);
  if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0) {
    ::chmod(path.c_str(), static_cast<mode_t>(mode));  // whatever the umask is
  } else if (errno != EEXIST || !fs::is_directory(path, error)) {
    throw Error::from_errno("make a folder", path.string());
  }
  return path;
}

// `xdg` names the variable; without it the user's own default below $HOME, or below the temporary folder.
fs::path user_dir(const char* xdg, const char* below_home) {
  if (fs::path dir = environment_path(xdg); !dir.empty()) return dir / "hawse";
  if (fs::path home = environment_path("HOME"); !home.empty()) return home / below_home / "hawse";
  return fs::temp_directory_path() / ("hawse-" + std::to_string(::geteuid()));
}

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t limit_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw Error::from_errno("read a file", path.string());
  std::string text;
  char block[65536];
  for (;;) {
    const ssize_t size = ::read(fd.get(), block, sizeof block);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw Error::from_errno("read a file", path.string());
    if (size == 0) return text;
    text.append(block, static_cast<std::size_t>(size));
    if (text.size() > limit_bytes)
      throw Error(ErrorCode::system, "read a file", path.string() + ": it has more than " + std::to_string(limit_bytes) + " bytes");
  }
}

void write_file(const fs::path& path, std::string_view text, unsigned mode) {
  std::string beside = (path.parent_path() / ("." + path.filename().string() + ".XXXXXX")).string();
  const UniqueFd fd(::mkostemp(beside.data(), O_CLOEXEC));
  if (!fd) throw Error::from_errno("write a file", path.string());
  try {
    write_all(fd.get(), text, path);
    if (::fchmod(fd.get(), static_cast<mode_t>(mode)) != 0 || ::rename(beside.c_str(), path.c_str()) != 0)
      throw Error::from_errno("write a file", path.string());
  } catch (...) {
    ::unlink(beside.c_str());
    throw;
  }
}

fs::path executable_path() {
  std::error_code error;
  fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) throw Error(ErrorCode::system, "find the running program", "/proc/self/exe: " + error.message(), "mount /proc");
  return path;
}

fs::path resources_dir() {
  if (fs::path dir = environment_path("HAWSE_RESOURCES"); !dir.empty()) return dir;
  const fs::path beside = executable_path().parent_path();
  std::error_code error;
  if (fs::path dir = beside / "lib" / "hawse"; fs::is_directory(dir, error)) return dir;
  return (beside.parent_path() / "lib" / "hawse").lexically_normal();
}

fs::path state_dir() {
  fs::path dir = environment_path("HAWSE_STATE");
  if (dir.empty()) dir = ::geteuid() == 0 ? fs::path("/var/lib/hawse") : user_dir("XDG_STATE_HOME", ".local/state");
  return made(dir, 0755);
}

fs::path run_dir() {
  fs::path dir = environment_path("HAWSE_RUN");
  if (dir.empty()) dir = ::geteuid() == 0 ? fs::path("/run/hawse") : user_dir("XDG_RUNTIME_DIR", ".local/state/hawse-run");
  return made(dir, 0711);
}

ScopedDir::ScopedDir(const fs::path& parent, std::string_view prefix) {
  std::string name = (parent / (std::string(prefix) + "XXXXXX")).string();
  if (::mkdtemp(name.data()) == nullptr) throw Error::from_errno("make a folder", name);
  path_ = name;
}

ScopedDir::ScopedDir(ScopedDir&& other) noexcept : path_(std::exchange(other.path_, fs::path())) {}

ScopedDir& ScopedDir::operator=(ScopedDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

ScopedDir::~ScopedDir() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace hawse
