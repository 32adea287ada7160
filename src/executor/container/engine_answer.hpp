// SPDX-License-Identifier: Apache-2.0
//
// What the engine answers, read with suspicion: fields of JSON that may lack, the lines of a progress stream, multiplexed logs; and
// the translation of its complaints into Errors that say what to do.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "executor/container/engine.hpp"

namespace hawse::executor {

// `error_number` and what come from HttpError.
Error unreachable(const std::string& operation, const std::string& socket_path, const HttpError&);
Error refused(const std::string& operation, unsigned status, const std::string& body);  // {"message": "..."}, or whatever came instead
Error complained(const std::string& operation, const std::string& message);

nlohmann::json parse_answer(const std::string& operation, std::string_view text);
std::string text_of(const std::string& operation, const nlohmann::json&, const char* key);      // throws where it lacks
std::string text_or(const nlohmann::json&, const char* key, const std::string& otherwise = "");  // also where it is of another type
std::int64_t number_or(const nlohmann::json&, const char* key, std::int64_t otherwise);
bool flag_or(const nlohmann::json&, const char* key, bool otherwise);
Labels labels_or_none(const nlohmann::json&, const char* key);
std::vector<std::string> texts_or_none(const nlohmann::json&, const char* key);

std::string demultiplexed(std::string_view logs);  // the 8-byte frame headers of attach and logs out

// A stream of JSON objects, cut into lines as the bytes come. feed() and finish() throw what the stream itself reports as an error.
class ProgressReader {
 public:
  ProgressReader(std::string operation, const OnProgress& on_progress) : operation_(std::move(operation)), on_progress_(on_progress) {}
  void feed(std::string_view bytes);
  void finish();
  const std::string& id() const noexcept { return id_; }  // of what was built or imported

 private:
  void line(std::string_view);

  std::string operation_;
  const OnProgress& on_progress_;
  std::string pending_, id_;
  std::vector<std::string> last_output_;  // of the command that a build runs
};

}  // namespace hawse::executor
