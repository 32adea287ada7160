// SPDX-License-Identifier: Apache-2.0
//
// What /proc says of processes: memory, processor time, wake-ups, descriptors, kinship. A process that can't be read is Unavailable.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/subprocess.hpp"

namespace hawse::bench::life {

std::uint64_t pss_bytes(pid_t);        // its own pages, and its share of those that others map too
std::int64_t cpu_ns(pid_t);            // of all its threads that live
std::int64_t wake_ups(pid_t);          // voluntary context switches of all its threads
pid_t parent_of(pid_t);                // 0: gone
std::string command_line(pid_t);       // "" : gone, or a kernel thread
std::vector<pid_t> descendants(pid_t); // without itself
std::size_t open_descriptors();        // of this process

// The running command itself; beside the resources where this process is another one (a test). Throws Unavailable.
std::filesystem::path hawse_command();

// A command with this process's environment and `more`; its output collected.
RunResult run_command(const std::vector<std::string>& argv, const std::map<std::string, std::string>& more = {});
std::string last_line(const RunResult&);  // of its stderr, else of its stdout

}  // namespace hawse::bench::life
