// SPDX-License-Identifier: Apache-2.0
//
// A process named so that it can't be mistaken for a later one: "PID START_TICKS", the second from /proc/PID/stat.
#pragma once

#include <sys/types.h>

#include <string>

namespace hawse::executor {

std::string process_id(pid_t pid);               // "" if it is gone
pid_t parent_of(pid_t pid);                      // 0 if it is gone
void kill_group(const std::string& id) noexcept;  // the process group that this process leads, whether or not the leader still lives

}  // namespace hawse::executor
