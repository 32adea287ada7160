// SPDX-License-Identifier: Apache-2.0
#include "runtime/file_watch.hpp"

#include <utility>

#include "base/error.hpp"
#include "runtime/inotify.hpp"

namespace hawse::runtime {

FileWatch::FileWatch(Loop& loop, std::function<void(const std::filesystem::path&)> changed)
    : changed_(std::move(changed)), fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!fd_) throw Error::from_errno("watch files", "inotify");
  watch_ = loop.on_readable(fd_.get(), [this] { read_changes(); });
}

void FileWatch::add(const std::filesystem::path& file) {
  const int number = ::inotify_add_watch(fd_.get(), file.parent_path().c_str(), IN_CLOSE_WRITE | IN_MOVED_TO);
  if (number < 0) throw Error::from_errno("watch files", file.parent_path().string());
  folders_[number] = file.parent_path();
  files_.insert(file);
}

void FileWatch::read_changes() {
  read_inotify(fd_.get(), [this](const inotify_event& event, const char* name) {
    const auto folder = folders_.find(event.wd);
    if (folder != folders_.end() && event.len > 0)
      if (const auto file = folder->second / name; files_.contains(file)) changed_(file);
  });
}

}  // namespace hawse::runtime
