// SPDX-License-Identifier: Apache-2.0
//
// The Python interpreters of this host. What PATH names may be a shim (pyenv, asdf): a script that starts the real one at the price of
// tens of milliseconds. So each is asked once what it really is, and the answer is kept in state_dir()/interpreters.json.
#pragma once

#include <filesystem>
#include <string>

namespace hawse::executor {

struct Interpreter {
  std::filesystem::path path;  // sys.executable
  std::string version;         // "3.11.2"
  std::string tag() const;     // "3.11"
};

// `version`: "3.9" or "3.9.2"; "": python3 of PATH. Throws Error(environment) that names the versions which there are.
Interpreter find_python(const std::string& version);

}  // namespace hawse::executor
