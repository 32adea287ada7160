// SPDX-License-Identifier: Apache-2.0
//
// hawse-bench-stage: the C++ node of the benchmark, head or relay of a chain that leads back to the head.
//
// The head takes commands (JSON) from the benchmark and answers with samples (float32):
//   {"mode": "round_trip" | "one_way", "count": n, "bytes": b}  one frame at a time: ns until it is back, or until the last relay had it
//   {"mode": "stream", "count": n, "bytes": b}                  n frames, every word written by the head and read by the relay: [bytes a second]
// Frames are int64 words; times are CLOCK_MONOTONIC, which processes and containers of a machine share. Linked statically, so that the same file runs in any container.
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <hawse/node.hpp>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <system_error>

namespace {

using Words = std::span<std::int64_t>;
using ConstWords = std::span<const std::int64_t>;

enum Word : std::size_t { kind, number, sent_ns, received_ns, first_of_payload };
enum Kind : std::int64_t { hop, part_of_stream, end_of_stream };

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

class Stage : public hawse::Node {
  void setup(const hawse::Params& params) override {
    if (params.integer("cpu") < 0) return;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(static_cast<std::size_t>(params.integer("cpu")), &only);
    if (::sched_setaffinity(0, sizeof only, &only) != 0) throw std::system_error(errno, std::generic_category(), "sched_setaffinity");
  }

  void process(const hawse::Input& in) override {
    const std::int64_t now = now_ns();
    if (in.frame.info().type == hawse::FrameType::json) return begin(nlohmann::json::parse(in.frame.text()));
    const auto words = in.frame.as<std::int64_t>();
    if (words.size() < first_of_payload) throw std::invalid_argument("a frame of the benchmark has a head");
    if (has_output("samples")) return came_back(words, now);
    if (words[kind] == hop) return pass_on(words, now);
    read(words);
    if (words[kind] == end_of_stream) pass_on(words, now_ns());
  }

  // ---- the head -------------------------------------------------------------------------------------------------------------------

  void begin(const nlohmann::json& command) {
    count_ = command.at("count");
    words_ = std::max<std::size_t>(command.at("bytes").get<std::size_t>() / sizeof(std::int64_t), first_of_payload);
    mode_ = command.at("mode");
    samples_.clear();
    if (mode_ != "stream") return send(hop, 1);
    begun_ns_ = now_ns();
    for (std::int64_t i = 1; i <= count_; ++i) send(i < count_ ? part_of_stream : end_of_stream, i);
  }

  void send(Kind what, std::int64_t which) {
    const std::int64_t now = now_ns();  // before the frame is allocated, as a relay's time is
    auto out = output("out").tensor({words_}, hawse::Dtype::int64);
    const Words words = out.as<std::int64_t>();
    if (what != hop) std::fill(words.begin() + first_of_payload, words.end(), which);
    words[kind] = what;
    words[number] = which;
    words[sent_ns] = now;
    output("out").send(std::move(out));
  }

  void came_back(ConstWords words, std::int64_t now) {
    const auto expected = mode_ == "stream" ? count_ : static_cast<std::int64_t>(samples_.size()) + 1;
    if (words[number] != expected) throw std::runtime_error("frame " + std::to_string(expected) + " came back as " + std::to_string(words[number]));
    if (mode_ == "stream") {
      const double seconds = static_cast<double>(words[received_ns] - begun_ns_) / 1e9;
      samples_.push_back(static_cast<float>(static_cast<double>(count_) * static_cast<double>(words_ * sizeof(std::int64_t)) / seconds));
      return report();
    }
    samples_.push_back(static_cast<float>((mode_ == "one_way" ? words[received_ns] : now) - words[sent_ns]));
    if (expected == count_) return report();
    send(hop, expected + 1);
  }

  void report() {
    auto out = output("samples").tensor({samples_.size()}, hawse::Dtype::float32);
    std::memcpy(out.bytes().data(), samples_.data(), samples_.size() * sizeof(float));
    output("samples").send(std::move(out));
  }

  // ---- a relay --------------------------------------------------------------------------------------------------------------------

  void pass_on(ConstWords words, std::int64_t now) {
    auto out = output("out").tensor({words.size()}, hawse::Dtype::int64);
    const Words answer = out.as<std::int64_t>();
    std::copy_n(words.begin(), received_ns, answer.begin());
    answer[received_ns] = now;
    output("out").send(std::move(out));
  }

  void read(ConstWords words) const {
    const auto payload = words.subspan(first_of_payload);
    const std::int64_t sum = std::accumulate(payload.begin(), payload.end(), std::int64_t{0});
    if (sum != words[number] * static_cast<std::int64_t>(payload.size())) throw std::runtime_error("frame " + std::to_string(words[number]) + " isn't what was written");
  }

  std::int64_t count_ = 0, begun_ns_ = 0;
  std::size_t words_ = 0;
  std::string mode_;
  std::vector<float> samples_;
};

}  // namespace

HAWSE_PROGRAM(Stage, R"({"doc": "Head or relay of the benchmark.", "inputs": {"in": "any"}, "outputs": {"out": "tensor", "samples": "tensor"},
                         "params": {"cpu": {"type": "int", "default": -1, "doc": "the one that it runs on; -1: any"}}})")
