// SPDX-License-Identifier: Apache-2.0
//
// A program that embeds the pipeline in argv[1]: sends three frames into `mic` and prints what comes out of `text`. With "visible" as argv[2], commands
// find its session, and it waits for a line on stdin before it begins.
#include <algorithm>
#include <exception>
#include <hawse/pipeline.hpp>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const bool visible = argc == 3 && std::string(argv[2]) == "visible";
  try {
    auto session = hawse::Pipeline(argv[1]).start(visible ? hawse::ControlSocket::open : hawse::ControlSocket::none);
    if (std::string line; visible) std::getline(std::cin, line);
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
