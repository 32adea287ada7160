// SPDX-License-Identifier: Apache-2.0
//
// The C++ node of the kill storm: a source where no edge leads into it, a sink where none leads out, else a relay. tests/storm.py has the format of
// payloads and records, tests/storm_nodes.py is its like in Python.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <hawse/node.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Header {
  std::uint64_t number, size;
  std::uint32_t origin, writer, incarnation, offset;
};

struct Record {
  std::uint8_t kind, flags;
  std::uint16_t writer;
  std::uint32_t incarnation, writer_incarnation, origin;
  std::uint64_t sequence, number;
};
static_assert(sizeof(Header) == 32 && sizeof(Record) == 32);
constexpr std::uint8_t kReceived = 1, kSent = 2, kGivenAgain = 1, kDamaged = 2;

class Storm : public hawse::Node {
  void setup(const hawse::Params& params) override {
    folder_ = params.text("folder");
    index_ = static_cast<std::uint32_t>(params.integer("index"));
    origin_ = static_cast<std::uint32_t>(params.integer("origin"));
    small_ = static_cast<std::uint64_t>(params.integer("small"));
    large_ = static_cast<std::uint64_t>(params.integer("large"));
    every_ = static_cast<std::uint64_t>(params.integer("every"));
    keep_ = static_cast<std::size_t>(params.integer("keep"));
    const std::string path = folder_ + "/" + id();
    records_ = open_file(path + ".records", O_RDWR | O_APPEND | O_CREAT);
    const int starts = open_file(path + ".starts", O_WRONLY | O_APPEND | O_CREAT);
    if (::write(starts, "x", 1) != 1) throw std::runtime_error("write " + path + ".starts");
    incarnation_ = static_cast<std::uint32_t>(size_of(starts));
    ::close(starts);
    const int pattern = open_file(folder_ + "/pattern", O_RDONLY);
    pattern_.resize(size_of(pattern));
    if (::read(pattern, pattern_.data(), pattern_.size()) != static_cast<ssize_t>(pattern_.size())) throw std::runtime_error("read the pattern");
    ::close(pattern);
    Record last{};
    const std::size_t end = size_of(records_);
    if (end > 0 && ::pread(records_, &last, sizeof last, static_cast<off_t>(end - sizeof last)) != sizeof last) throw std::runtime_error("read the records");
    number_ = last.number;  // a source goes on behind what it had sent
  }

  bool produce() override {
    if (::access((folder_ + "/stop").c_str(), F_OK) == 0) return false;
    ++number_;
    const std::uint64_t body = (number_ % every_ != 0 ? small_ : large_) + number_ % 777;
    Header header{number_, sizeof(Header) + body, origin_, index_, incarnation_, static_cast<std::uint32_t>(number_ * 2654435761u % 65521u)};
    hawse::OutFrame out = output("out").allocate(header.size);
    std::memcpy(out.bytes().data() + sizeof header, pattern_.data() + header.offset, body);
    send(std::move(out), header);
    return true;
  }

  void process(const hawse::Input& in) override {
    const auto bytes = in.frame.bytes();
    Header header{};
    std::memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof header));
    const bool intact = header.size == bytes.size() && header.offset <= pattern_.size() && bytes.size() - sizeof header <= pattern_.size() - header.offset &&
                        std::memcmp(bytes.data() + sizeof header, pattern_.data() + header.offset, bytes.size() - sizeof header) == 0;
    record({kReceived, static_cast<std::uint8_t>((in.frame.info().given_again ? kGivenAgain : 0) | (intact ? 0 : kDamaged)),
            static_cast<std::uint16_t>(header.writer), incarnation_, header.incarnation, header.origin, in.frame.info().sequence, header.number});
    kept_.push_back(in.frame);
    if (kept_.size() > keep_) kept_.pop_front();
    if (!has_output("out")) return;
    hawse::OutFrame out = output("out").allocate(bytes.size());
    std::memcpy(out.bytes().data(), bytes.data(), bytes.size());
    header.writer = index_;
    header.incarnation = incarnation_;
    send(std::move(out), header);
  }

  void finish() override { kept_.clear(); }

  void send(hawse::OutFrame out, const Header& header) {
    std::memcpy(out.bytes().data(), &header, sizeof header);
    const std::uint64_t sequence = out.info().sequence;
    output("out").send(std::move(out));
    record({kSent, 0, static_cast<std::uint16_t>(index_), incarnation_, incarnation_, header.origin, sequence, header.number});
  }

  void record(const Record& record) const {
    if (::write(records_, &record, sizeof record) != sizeof record) throw std::runtime_error("write a record");
  }

  static int open_file(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    if (fd < 0) throw std::runtime_error("open " + path);
    return fd;
  }
  static std::size_t size_of(int fd) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) throw std::runtime_error("fstat");
    return static_cast<std::size_t>(info.st_size);
  }

  std::string folder_;
  std::uint32_t index_ = 0, origin_ = 0, incarnation_ = 0;
  std::uint64_t small_ = 0, large_ = 0, every_ = 1, number_ = 0;
  std::size_t keep_ = 0;
  int records_ = -1;
  std::vector<std::byte> pattern_;
  std::deque<hawse::Frame> kept_;  // leases
};

}  // namespace

HAWSE_PROGRAM(Storm, R"({"inputs": {"frame": "bytes?"}, "outputs": {"out": "bytes"},
                         "params": {"folder": {"type": "str", "required": true}, "index": {"type": "int", "required": true},
                                    "origin": {"type": "int", "default": 0}, "small": {"type": "int", "default": 0}, "large": {"type": "int", "default": 0},
                                    "every": {"type": "int", "default": 1}, "keep": {"type": "int", "default": 0}}})")
