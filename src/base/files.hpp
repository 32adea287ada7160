// SPDX-License-Identifier: Apache-2.0
//
// Files as the control plane needs them: whole reads with a limit, atomic writes, folders of our own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace hawse {

std::string read_file(const std::filesystem::path&, std::uint64_t limit_bytes = 64ull << 20);  // throws Error
void write_file(const std::filesystem::path&, std::string_view text, unsigned mode = 0644);   // beside it, then rename
std::filesystem::path executable_path();                     // /proc/self/exe
// Where the parts that come with the command lie: $HAWSE_RESOURCES, else lib/hawse beside the command, else ../lib/hawse.
std::filesystem::path resources_dir();
std::filesystem::path state_dir();   // root: /var/lib/hawse, else $XDG_STATE_HOME/hawse; $HAWSE_STATE overrides; made, 0755
std::filesystem::path run_dir();     // root: /run/hawse, else $XDG_RUNTIME_DIR/hawse; $HAWSE_RUN overrides; made, 0711
std::string sha256_hex(std::string_view);

// A folder of our own under `parent`; removed with its content at the end.
class ScopedDir {
 public:
  explicit ScopedDir(const std::filesystem::path& parent, std::string_view prefix = "");
  ScopedDir(ScopedDir&&) noexcept;
  ScopedDir& operator=(ScopedDir&&) noexcept;
  ~ScopedDir();
  const std::filesystem::path& path() const noexcept { return path_; }
  void keep() noexcept { path_.clear(); }

 private:
  std::filesystem::path path_;
};

}  // namespace hawse
