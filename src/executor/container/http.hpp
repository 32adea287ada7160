// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 over a Unix socket, one connection a call: what the engine's API speaks. Blocking, with a limit on silence and on size.
//
// Whatever comes back is hostile until read: an answer that is no HTTP, is cut off, or passes a limit throws HttpError. (Beast stays in http.cpp.)
// Threading: call() from any thread, several at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/interrupt.hpp"

namespace hawse::executor {

class HttpError : public std::runtime_error {
 public:
  HttpError(const std::string& what, int error_number) : std::runtime_error(what), error_number_(error_number) {}
  int error_number() const noexcept { return error_number_; }  // errno of a failed connect; ETIMEDOUT; ECONNRESET: cut off; ECANCELED; 0: not HTTP, or too long

 private:
  int error_number_;
};

struct HttpRequest {
  std::string method = "GET";
  std::string target = {};
  std::string body = {};
  std::filesystem::path body_file = {};  // instead of body, where it isn't empty
  std::string content_type = "application/json";
  std::int64_t silence_ns = 120'000'000'000;  // longest wait for the next bytes; 0: for ever
  std::uint64_t limit_bytes = 16u << 20;      // of the answer's body
  Interrupt* interrupt = nullptr;             // throws HttpError with ECANCELED
};

struct HttpResponse {
  unsigned status = 0;
  std::string body;
  std::string api_version;  // the header that the engine puts on every answer
  std::string podman_version;  // Podman's own, "4.3.1"; empty: it is another engine
};

// `on_bytes`, where given, gets the body of a 2xx answer as it comes; any other body is returned.
HttpResponse http_call(const std::string& socket_path, const HttpRequest&, const std::function<void(std::string_view)>& on_bytes = nullptr);

std::string url_encoded(std::string_view);

}  // namespace hawse::executor
