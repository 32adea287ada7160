// SPDX-License-Identifier: Apache-2.0
//
// `hawse stop`: ends a running session, as Ctrl-C in its terminal would, and waits until it has ended.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.hpp"
#include "cli/sessions.hpp"

namespace hawse::cli {

void add_stop(CLI::App& app, Result&) {
  struct Options : SessionOptions {
    bool now = false, no_wait = false;
  };
  auto* command = app.add_subcommand("stop", "End a running session in order");
  command->footer("Examples:\n  hawse stop 3f2a\n  hawse stop 3f2a --now\nEvery source ends its stream, what is under way is handled, and what still runs after the grace period is killed.");
  auto options = std::make_shared<Options>();
  options->add_to(*command);
  command->add_flag("--now", options->now, "Kill its nodes at once");
  command->add_flag("--no-wait", options->no_wait, "Don't wait for its end");
  command->callback([options] {
    auto session = SessionSocket::find(options->session);
    session.answer({{"type", "stop"}, {"now", options->now}});
    if (!options->no_wait) session.wait_for_end();
    if (options->json) fmt::print("{}\n", to_line({{"id", session.about()["id"]}, {"ended", !options->no_wait}}));
    else fmt::print("{} {}\n", session.name(), options->no_wait ? "is stopping" : "has ended");
  });
}

}  // namespace hawse::cli
