// SPDX-License-Identifier: Apache-2.0
#include "executor/container/http.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <limits>
#include <optional>

namespace hawse::executor {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using beast::error_code;

namespace {
constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;
}

// One call's connection. Every operation is an asynchronous one that is waited for, because only those can time out.
class Connection {
 public:
  Connection(const std::string& path, const HttpRequest& request) : request_(request), stream_(io_) {
    if (path.size() > kMaxSocketPath) throw HttpError("the socket's path is too long", ENAMETOOLONG);
    error_code error;
    stream_.socket().connect(asio::local::stream_protocol::endpoint(path), error);
    if (error) throw HttpError("cannot connect: " + error.message(), error.value());
    waiting_.emplace(request_.interrupt, [socket = stream_.socket().native_handle()] { ::shutdown(socket, SHUT_RDWR); });
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send() {
    if (request_.body_file.empty()) {
      http::request<http::string_body> message;
      message.body() = request_.body;
      send(message);
      return;
    }
    http::request<http::file_body> message;
    error_code error;
    message.body().open(request_.body_file.c_str(), beast::file_mode::scan, error);
    if (error) throw HttpError("cannot open " + request_.body_file.string() + ": " + error.message(), error.value());
    send(message);
  }

  HttpResponse receive(const std::function<void(std::string_view)>& on_bytes) {
    // Counted below. (Beast 1.74 takes boost::none for a limit of nothing.)
    parser_.body_limit(std::numeric_limits<std::uint64_t>::max());
    parser_.skip(request_.method == "HEAD");  // its answer says how long a body would be, and has none
    check(wait([&](auto done) { http::async_read_header(stream_, buffer_, parser_, std::move(done)); }), "answer");
    HttpResponse response;
    response.status = parser_.get().result_int();
    response.api_version = std::string(parser_.get()["Api-Version"]);
    response.podman_version = std::string(parser_.get()["Libpod-Api-Version"]);
    const bool passed_on = on_bytes && response.status / 100 == 2;
    std::uint64_t total = 0;
    while (!parser_.is_done()) {
      const std::string_view bytes = receive_some();
      if ((total += bytes.size()) > request_.limit_bytes)
        throw HttpError("the answer is longer than " + std::to_string(request_.limit_bytes) + " bytes", 0);
      if (passed_on) {
        if (!bytes.empty()) on_bytes(bytes);
      } else {
        response.body += bytes;
      }
    }
    return response;
  }

 private:
  template <class Start>
  error_code wait(Start start) {
    error_code result;
    if (request_.silence_ns > 0) {
      stream_.expires_after(std::chrono::nanoseconds(request_.silence_ns));
    } else {
      stream_.expires_never();
    }
    start([&](const error_code& error, std::size_t) { result = error; });
    io_.restart();
    io_.run();
    return result;
  }

  void check(const error_code& error, const char* what) const {
    if (request_.interrupt && request_.interrupt->came()) throw HttpError("interrupted", ECANCELED);
    if (!error) return;
    for (const error_code gone : {error_code(http::error::end_of_stream), error_code(http::error::partial_message), error_code(asio::error::eof),
                                  error_code(asio::error::connection_reset), error_code(asio::error::broken_pipe)})
      if (error == gone) throw HttpError(std::string("the connection ended before the end of the ") + what, ECONNRESET);
    if (error == beast::error::timeout) throw HttpError(std::string("no ") + what + " in time", ETIMEDOUT);
    throw HttpError(std::string("broken ") + what + ": " + error.message(), 0);
  }

  template <class Message>
  void send(Message& message) {
    message.method_string(request_.method);
    message.target(request_.target);
    message.version(11);
    message.set(http::field::host, "localhost");
    message.set(http::field::user_agent, "hawse");
    message.keep_alive(false);
    if (message.payload_size().value_or(0) > 0) message.set(http::field::content_type, request_.content_type);
    message.prepare_payload();
    const error_code error = wait([&](auto done) { http::async_write(stream_, message, std::move(done)); });
    // A server that refuses a long body answers and hangs up before the end of it: its answer says more than EPIPE.
    if (error != asio::error::broken_pipe && error != asio::error::connection_reset) check(error, "request");
  }

  std::string_view receive_some() {
    auto& body = parser_.get().body();
    body.data = chunk_.data();
    body.size = chunk_.size();
    error_code error = wait([&](auto done) { http::async_read_some(stream_, buffer_, parser_, std::move(done)); });
    if (error == http::error::need_buffer) error = {};
    check(error, "answer");
    return {chunk_.data(), chunk_.size() - body.size};
  }

  const HttpRequest& request_;
  asio::io_context io_{1};
  beast::basic_stream<asio::local::stream_protocol> stream_;
  beast::flat_buffer buffer_{1u << 20};
  http::response_parser<http::buffer_body> parser_;
  std::array<char, 65536> chunk_{};
  std::optional<Interrupt::Waiting> waiting_;  // last: gone before the socket is
};

HttpResponse http_call(const std::string& socket_path, const HttpRequest& request, const std::function<void(std::string_view)>& on_bytes) {
  Connection connection(socket_path, request);
  connection.send();
  return connection.receive(on_bytes);
}

std::string url_encoded(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || std::string_view("-_.~").find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace hawse::executor
