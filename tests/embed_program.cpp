// SPDX-License-Identifier: Apache-2.0
//
// A program that embeds the pipeline in argv[1]: sends three frames into `mic` and prints what comes out of `text`.
#include <algorithm>
#include <exception>
#include <hawse/pipeline.hpp>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    auto session = hawse::Pipeline(argv[1]).start();
    for (int n = 1; n <= 3; ++n) {
      auto frame = session.input("mic").audio(4, 1, 16000);
      std::ranges::fill(frame.as<float>(), static_cast<float>(n));
      session.input("mic").send(std::move(frame));
    }
    session.end_input("mic");
    while (const auto text = session.receive("text")) std::cout << text->text() << "\n";
    return session.wait();
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
