// SPDX-License-Identifier: Apache-2.0
//
// The table of the manifest's keys.
#include "pipeline/keys.hpp"

#include <stdexcept>

namespace hawse::pipeline {
namespace {

constexpr double kMi = 1 << 20;
constexpr double kTi = 1099511627776.0;

constexpr const char* kVersionPattern = "^3\\.(9|[1-9][0-9])(\\.[0-9]+)?$";
constexpr const char* kVersionSays = "a Python version from 3.9 on";
constexpr const char* kWordPattern = "^\\S+$";
constexpr const char* kWordSays = "without blanks";

Key queue() {
  return {.name = "queue",
          .type = KeyType::integer,
          .doc = "How many unread frames the edge holds.",
          .fallback = 8,
          .minimum = 1,
          .maximum = plane::kMaxQueue,
          .example = "16"};
}

Key when_full() {
  return {
      .name = "when_full",
      .type = KeyType::text,
      .doc =
          "What the sender does when the queue is full: wait (block), give up the oldest unread frame (drop_oldest) or the new one (drop_newest), "
          "or keep only the newest (latest).",
      .fallback = "block",
      .choices = {"block", "drop_oldest", "drop_newest", "latest"},
      .example = "drop_oldest"};
}

Section manifest_section() {
  return {
      "manifest",
      "the top level",
      "A Hawsepipe pipeline.",
      {
          {.name = "version",
           .type = KeyType::integer,
           .doc = "Version of the manifest's format.",
           .required = true,
           .minimum = 1,
           .maximum = 1,
           .example = "1"},
          {.name = "name",
           .type = KeyType::text,
           .doc = "The pipeline's name. Default: the file's name without its ending.",
           .pattern = "^[a-z0-9][a-z0-9_-]*$",
           .pattern_says = "a small letter or a digit, then small letters, digits, '-' and '_'",
           .example = "captions"},
          {.name = "variables",
           .type = KeyType::variables,
           .doc = "Names that values use as ${name}, with their defaults. `hawse run --set name=value` sets one; one without a default must be set."},
          {.name = "nodes", .type = KeyType::nodes, .doc = "The nodes, by id.", .required = true},
          {.name = "edges", .type = KeyType::edges, .doc = "What is connected: chains as in 'a.port -> b -> c', or mappings with from and to."},
          {.name = "inputs",
           .type = KeyType::inputs,
           .doc = "Streams that a program which embeds the pipeline sends, by name: the input ports they go to."},
          {.name = "outputs",
           .type = KeyType::outputs,
           .doc = "Streams that a program which embeds the pipeline receives, by name: the output ports they come from."},
          {.name = "grace",
           .type = KeyType::duration,
           .doc = "How long nodes have to end in order once the run is stopped, before they are killed.",
           .fallback = "5s",
           .minimum = 0,
           .maximum = 3600,
           .example = "10s"},
      }};
}

Section node_section() {
  return {"node",
          "a node",
          "One node: what it is, where it runs, and what it may use.",
          {
              {.name = "node",
               .type = KeyType::text,
               .doc = "What it is: a stock node (media/source), a Python class (nodes.py:Speech or package.module:Speech), or a program (./invert). "
                      "Files are relative to the manifest.",
               .required = true,
               .pattern = "^\\S(.*\\S)?$",
               .pattern_says = "without blanks around it",
               .example = "nodes.py:Speech"},
              {.name = "params",
               .type = KeyType::anything,
               .doc = "Parameters, checked against what the node takes: for a Python class the parameters of its setup()."},
              {.name = "executor",
               .type = KeyType::text,
               .doc = "Where it runs: a thread of the runtime (stock nodes only), a process, or a container. Default: stock nodes choose, everything "
                      "else is a process.",
               .choices = {"thread", "process", "container"},
               .example = "container"},
              {.name = "container", .type = KeyType::section, .doc = "Used where executor is container."},
              {.name = "python", .type = KeyType::section, .doc = "Used where executor is process."},
              {.name = "inputs", .type = KeyType::section, .doc = "How the frames of several inputs come together."},
              {.name = "limits", .type = KeyType::section, .doc = "What the node may use at most."},
              {.name = "restart", .type = KeyType::section, .doc = "What happens when the node fails."},
              {.name = "env", .type = KeyType::environment, .doc = "Environment variables of the node."},
              {.name = "fork",
               .type = KeyType::flag,
               .doc = "Whether a Python node may be forked from a process that has its module imported already. false: it starts an "
                      "interpreter of its own, as its module wants that starts threads or uses CUDA when it is imported.",
               .fallback = true,
               .example = "false"},
              {.name = "pool",
               .type = KeyType::integer,
               .doc = "How many processes, or containers, are kept started, with the module imported, and waiting for this Python node: each is given "
                      "out once, and another one made in the background.",
               .fallback = 0,
               .minimum = 0,
               .maximum = 64,
               .example = "1"},
              {.name = "share",
               .type = KeyType::flag,
               .doc = "Whether sessions share one container for this Python node: all those, of any pipeline, whose node has the same code, packages, "
                      "environment, limits and openings. It ends with the last of them.",
               .fallback = false,
               .example = "true"},
              {.name = "start_timeout",
               .type = KeyType::duration,
               .doc = "How long the node may take until its setup() is done.",
               .fallback = "120s",
               .minimum = 0.1,
               .maximum = 86400,
               .example = "5m"},
              {.name = "hang_timeout",
               .type = KeyType::duration,
               .doc = "How long the node may be busy with one frame without a sign of life (a frame sent, self.alive(), progress) before it is taken for "
                      "hanging and ended. 0: for ever.",
               .fallback = "0s",
               .minimum = 0,
               .maximum = 86400,
               .example = "30s"},
              {.name = "spin",
               .type = KeyType::duration,
               .doc = "How long the node may look for its next frame before it sleeps. It does so only while frames come that fast and its core is "
                      "free; 0: never.",
               .fallback = "20us",
               .minimum = 0,
               .maximum = 10,
               .example = "50us"},
          }};
}

Section container_section() {
  return {"container",
          "container:",
          "The container's content, and what of the host it may reach. Everything is closed unless it is opened here.",
          {
              {.name = "python",
               .type = KeyType::label,
               .doc = "Python version of the image that the runtime makes.",
               .pattern = kVersionPattern,
               .pattern_says = kVersionSays,
               .example = "3.9"},
              {.name = "image",
               .type = KeyType::text,
               .doc = "Image to use in place of one made for `python`.",
               .pattern = kWordPattern,
               .pattern_says = kWordSays,
               .example = "debian:12"},
              {.name = "packages", .type = KeyType::texts, .doc = "Python packages, as requirement specifiers.", .example = "[\"numpy<2\"]"},
              {.name = "apt",
               .type = KeyType::texts,
               .doc = "Debian packages, added to the image.",
               .pattern = "^[a-z0-9][a-z0-9+.:=~-]*$",
               .pattern_says = "the name of a Debian package",
               .example = "[libgl1]"},
              {.name = "network",
               .type = KeyType::text,
               .doc = "none, bridge, host, or the name of a network of the engine.",
               .fallback = "none",
               .pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$",
               .pattern_says = "none, bridge, host or a network's name",
               .example = "bridge"},
              {.name = "mounts",
               .type = KeyType::texts,
               .doc = "Folders and files of the host, as SOURCE:TARGET or SOURCE:TARGET:rw. Read-only unless it says rw; a relative source is "
                      "relative to the manifest.",
               .pattern = "^[^:]+:/[^:]*(:(ro|rw))?$",
               .pattern_says = "SOURCE:/TARGET, SOURCE:/TARGET:ro or SOURCE:/TARGET:rw",
               .example = "[\"./models:/models\"]"},
              {.name = "gpus",
               .type = KeyType::label,
               .doc = "GPUs: all, how many, or their ids with commas between.",
               .pattern = "^(all|[A-Za-z0-9_-]+(,[A-Za-z0-9_-]+)*)$",
               .pattern_says = "all, a count, or ids with commas between",
               .example = "all"},
              {.name = "user",
               .type = KeyType::label,
               .doc = "User and group inside the container.",
               .fallback = "65534:65534",
               .pattern = "^[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)?$",
               .pattern_says = "a user, or USER:GROUP",
               .example = "\"1000:1000\""},
          }};
}

Section python_section() {
  return {"python",
          "python:",
          "The Python environment of a node that runs as a process.",
          {
              {.name = "version",
               .type = KeyType::label,
               .doc = "Python version. Default: the host's python3.",
               .pattern = kVersionPattern,
               .pattern_says = kVersionSays,
               .example = "3.11"},
              {.name = "packages",
               .type = KeyType::texts,
               .doc = "Python packages, as requirement specifiers, in an environment of their own.",
               .example = "[numpy]"},
          }};
}

Section inputs_section() {
  return {"inputs",
          "inputs: of a node",
          "Frames of several inputs that belong together.",
          {
              {.name = "match",
               .type = KeyType::text,
               .doc = "timestamp: process() gets one frame of every connected input at once, those with the same timestamp. none: one frame at a time.",
               .fallback = "none",
               .choices = {"none", "timestamp"},
               .example = "timestamp"},
              {.name = "tolerance",
               .type = KeyType::duration,
               .doc = "How far the timestamps of frames that belong together may be apart.",
               .fallback = "20ms",
               .minimum = 0,
               .maximum = 3600,
               .example = "20ms"},
              {.name = "wait",
               .type = KeyType::duration,
               .doc = "How long a frame waits for its partners at most, from when it came.",
               .fallback = "500ms",
               .minimum = 0,
               .maximum = 3600,
               .example = "500ms"},
              {.name = "hold",
               .type = KeyType::integer,
               .doc = "How many frames of an input may wait for partners; further ones stay on their edge.",
               .fallback = 64,
               .minimum = 1,
               .maximum = plane::kMaxQueue,
               .example = "64"},
          }};
}

Section limits_section() {
  return {"limits",
          "limits:",
          "What a node may use at most. Hard in a container; for a process the runtime says what holds them.",
          {
              {.name = "memory",
               .type = KeyType::size,
               .doc = "Memory. A node that needs more is killed, and the run says so.",
               .minimum = 6 * kMi,
               .maximum = 64 * kTi,
               .example = "512MiB"},
              {.name = "cpus",
               .type = KeyType::number,
               .doc = "Processor cores; 0.5 is half of one.",
               .minimum = 0.01,
               .maximum = 4096,
               .example = "0.5"},
              {.name = "pids", .type = KeyType::integer, .doc = "Processes and threads. A container has 256 without this.", .minimum = 1, .maximum = 4194304, .example = "64"},
              {.name = "shm",
               .type = KeyType::size,
               .doc = "Size of a container's own /dev/shm. It has none without this.",
               .minimum = 4096,
               .maximum = 64 * kTi,
               .example = "64MiB"},
              {.name = "file",
               .type = KeyType::size,
               .doc = "Size of the largest file that it may write.",
               .minimum = 4096,
               .maximum = 64 * kTi,
               .example = "1GiB"},
              {.name = "arena",
               .type = KeyType::size,
               .doc = "Shared memory for the frames the node sends, over all of its outputs.",
               .fallback = "2GiB",
               .minimum = kMi,
               .maximum = 64 * kTi,
               .example = "512MiB"},
              {.name = "arena_of",
               .type = KeyType::text,
               .doc = "Whose memory the arena counts as: the runtime's, or the node's, so that memory: holds both.",
               .fallback = "runtime",
               .choices = {"runtime", "node"},
               .example = "runtime"},
          }};
}

Section restart_section() {
  return {"restart",
          "restart:",
          "What happens when the node fails.",
          {
              {.name = "on",
               .type = KeyType::text,
               .doc = "When it is started again: never, or after a failure.",
               .fallback = "never",
               .choices = {"never", "failure"},
               .example = "failure"},
              {.name = "attempts",
               .type = KeyType::integer,
               .doc = "How often it is started in all, the first time included.",
               .fallback = 3,
               .minimum = 1,
               .maximum = 1000,
               .example = "5"},
              {.name = "backoff",
               .type = KeyType::duration,
               .doc = "Pause before the second start; doubles each time, up to 10 s.",
               .fallback = "100ms",
               .minimum = 0,
               .maximum = 10,
               .example = "250ms"},
              {.name = "forget_after",
               .type = KeyType::duration,
               .doc = "After running for so long its failures are forgotten: attempts and backoff begin anew.",
               .fallback = "60s",
               .minimum = 0,
               .maximum = 86400,
               .example = "10m"},
              {.name = "poison_after",
               .type = KeyType::integer,
               .doc = "Deaths on one and the same frame, until that frame is set aside; 0: never.",
               .fallback = 3,
               .minimum = 0,
               .maximum = 1000,
               .example = "2"},
          }};
}

Section edge_section() {
  return {"edge",
          "an edge",
          "An edge as a mapping. Lists in from or to make an edge of every pair.",
          {
              {.name = "from",
               .type = KeyType::ends,
               .doc = "Output port: node.port, or node where only one port fits.",
               .required = true,
               .example = "source.audio"},
              {.name = "to",
               .type = KeyType::ends,
               .doc = "Input port: node.port, or node where only one port fits.",
               .required = true,
               .example = "speech"},
              queue(),
              when_full(),
              {.name = "feedback", .type = KeyType::flag, .doc = "The edge closes a cycle on purpose.", .fallback = false, .example = "true"},
          }};
}

Section input_section() {
  return {"input",
          "an entry of inputs:",
          "A stream from the embedding program, as a mapping.",
          {{.name = "to", .type = KeyType::ends, .doc = "The input ports it goes to.", .required = true, .example = "speech.audio"},
           queue(),
           when_full()}};
}

Section output_section() {
  return {"output",
          "an entry of outputs:",
          "A stream to the embedding program, as a mapping.",
          {{.name = "from", .type = KeyType::ends, .doc = "The output ports it comes from.", .required = true, .example = "recognise.out"},
           queue(),
           when_full()}};
}

}  // namespace

const std::vector<Section>& sections() {
  static const std::vector<Section> table = {manifest_section(), node_section(), container_section(), python_section(), inputs_section(),
                                             limits_section(),   restart_section(), edge_section(),  input_section(),     output_section()};
  return table;
}

const Section& section(std::string_view name) {
  for (const Section& one : sections())
    if (name == one.name) return one;
  throw std::logic_error("no section " + std::string(name));
}

bool is_id(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto rest = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  if (text.empty() || text.size() > kMaxNameBytes || !letter(text[0])) return false;
  for (const char c : text)
    if (!rest(c)) return false;
  return true;
}

}  // namespace hawse::pipeline
