// SPDX-License-Identifier: Apache-2.0
//
// A section of a 64-bit ELF file, found by name; the file isn't run or mapped. Every offset in it is checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace hawse::pipeline {

// nullopt: not such a file, or it has no such section. Throws Error where the file can't be read, its tables lead outside it, or the
// section is larger than `limit_bytes`.
std::optional<std::string> read_elf_section(const std::filesystem::path&, const std::string& name, std::uint64_t limit_bytes = 1 << 20);

}  // namespace hawse::pipeline
