// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer: any bytes as what an engine answers: a progress stream cut anywhere, a log in frames, an object whose fields may be anything.
#include "base/error.hpp"
#include "executor/container/engine_answer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hawse::executor;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const OnProgress nothing = [](const EngineProgress&) {};
    ProgressReader reader("fuzz", nothing);
    const std::size_t cut = size == 0 ? 0 : data[0] % (size + 1);
    reader.feed(bytes.substr(0, cut));
    reader.feed(bytes.substr(cut));
    reader.finish();
  } catch (const hawse::Error&) {
    // refused
  }
  demultiplexed(bytes);
  try {
    const auto answer = parse_answer("fuzz", bytes);
    labels_or_none(answer, "Labels");
    texts_or_none(answer, "Names");
    number_or(answer, "Pid", 0);
    flag_or(answer, "Running", false);
    text_of("fuzz", answer, "Id");
  } catch (const hawse::Error&) {
    // refused
  }
  return 0;
}
