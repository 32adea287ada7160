// SPDX-License-Identifier: Apache-2.0
#include "bench/record/wording.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/error.hpp"

namespace hawse::bench {
namespace {

template <class Enum>
struct Words;  // in the order of the enumeration

// clang-format off
template <> struct Words<Placement> { static constexpr std::array all = {"any", "near", "far", "moved"}; };
template <> struct Words<Role> { static constexpr std::array all = {"ours", "peer", "floor"}; };
template <> struct Words<Wait> { static constexpr std::array all = {"none", "polling", "sleeping", "adaptive"}; };
template <> struct Words<Payload> { static constexpr std::array all = {"none", "untouched", "written_and_read"}; };
template <> struct Words<Better> { static constexpr std::array all = {"less", "more"}; };
template <> struct Words<Statistic> { static constexpr std::array all = {"median", "mean", "p99", "p999", "sum_of_phases"}; };
template <> struct Words<Target::Relation> { static constexpr std::array all = {"at_most", "at_least", "within"}; };
template <> struct Words<Met> { static constexpr std::array all = {"met", "missed", "unknown"}; };
template <> struct Words<Verdict> { static constexpr std::array all = {"no_change", "improved", "regressed", "too_few"}; };
// clang-format on

template <class Enum>
std::string word(Enum value) {
  return Words<Enum>::all.at(static_cast<std::size_t>(value));
}

}  // namespace

std::string word_of(Placement value) { return word(value); }
std::string word_of(Role value) { return word(value); }
std::string word_of(Wait value) { return word(value); }
std::string word_of(Payload value) { return word(value); }
std::string word_of(Better value) { return word(value); }
std::string word_of(Statistic value) { return word(value); }
std::string word_of(Target::Relation value) { return word(value); }
std::string word_of(Met value) { return word(value); }
std::string word_of(Verdict value) { return word(value); }

template <class Enum>
Enum from_word(std::string_view text) {
  const auto& all = Words<Enum>::all;
  const auto found = std::find(all.begin(), all.end(), text);
  if (found == all.end()) throw Error(ErrorCode::system, "read a benchmark run", "'" + std::string(text) + "' is no word of this version's record");
  return static_cast<Enum>(std::distance(all.begin(), found));
}

template Placement from_word<Placement>(std::string_view);
template Role from_word<Role>(std::string_view);
template Wait from_word<Wait>(std::string_view);
template Payload from_word<Payload>(std::string_view);
template Better from_word<Better>(std::string_view);
template Statistic from_word<Statistic>(std::string_view);
template Target::Relation from_word<Target::Relation>(std::string_view);

nlohmann::json json_of(const Machine& machine) {
  return {{"cpu", machine.cpu},
          {"kernel", machine.kernel},
          {"memory", machine.memory},
          {"os", machine.os},
          {"engine", machine.engine},
          {"compiler", machine.compiler},
          {"python", machine.python},
          {"cores", machine.cores},
          {"more", machine.more}};
}

}  // namespace hawse::bench
