// SPDX-License-Identifier: Apache-2.0
//
// Just enough ELF: header, section table, names.
#include "pipeline/elf.hpp"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace hawse::pipeline {
namespace {

constexpr std::uint64_t kMaxTableBytes = 16 << 20;

class File {
 public:
  explicit File(const std::filesystem::path& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (!fd_) throw Error::from_errno("read a program", path.string());
  }

  // Fewer bytes only at the end of the file.
  std::string read(std::uint64_t offset, std::uint64_t bytes) const {
    if (offset > INT64_MAX - bytes) return {};
    std::string text(bytes, '\0');
    std::size_t done = 0;
    while (done < bytes) {
      const ssize_t got = ::pread(fd_.get(), text.data() + done, bytes - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error::from_errno("read a program", path_.string());
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    text.resize(done);
    return text;
  }

  std::string read_exactly(std::uint64_t offset, std::uint64_t bytes, std::uint64_t limit_bytes) const {
    std::string text = bytes <= limit_bytes ? read(offset, bytes) : "";
    if (text.size() != bytes)
      throw Error(ErrorCode::manifest, "read a program", path_.string() + " is damaged: a table of its ELF header leads outside it");
    return text;
  }

 private:
  const std::filesystem::path& path_;
  UniqueFd fd_;
};

}  // namespace

std::optional<std::string> read_elf_section(const std::filesystem::path& path, const std::string& name, std::uint64_t limit_bytes) {
  const File file(path);
  const std::string start = file.read(0, sizeof(Elf64_Ehdr));
  Elf64_Ehdr header;
  if (start.size() != sizeof header) return std::nullopt;
  std::memcpy(&header, start.data(), sizeof header);
  constexpr unsigned char kOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != kOrder)
    return std::nullopt;
  if (header.e_shoff == 0 || header.e_shnum == 0 || header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum)
    return std::nullopt;

  const std::string table = file.read_exactly(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr), kMaxTableBytes);
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  std::memcpy(sections.data(), table.data(), table.size());
  const Elf64_Shdr& names_at = sections[header.e_shstrndx];
  const std::string names = file.read_exactly(names_at.sh_offset, names_at.sh_size, kMaxTableBytes);
  for (const Elf64_Shdr& section : sections)
    if (section.sh_name < names.size() && names.compare(section.sh_name, name.size() + 1, name.c_str(), name.size() + 1) == 0 &&
        section.sh_type != SHT_NOBITS)
      return file.read_exactly(section.sh_offset, section.sh_size, limit_bytes);
  return std::nullopt;
}

}  // namespace hawse::pipeline
