// SPDX-License-Identifier: Apache-2.0
//
// The words that stand for our enumerations in the database, in JSON and in CSV. They are part of those formats: a word never changes its meaning.
// (The report's words, for people, are in bench/report/words.hpp.)
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "bench/core/result.hpp"
#include "bench/stats/stats.hpp"

namespace hawse::bench {

std::string word_of(Placement);         // any, near, far, moved
std::string word_of(Role);              // ours, peer, floor
std::string word_of(Wait);              // none, polling, sleeping
std::string word_of(Payload);           // none, untouched, written_and_read
std::string word_of(Better);            // less, more
std::string word_of(Statistic);         // median, mean, p99, p999, sum_of_phases
std::string word_of(Target::Relation);  // at_most, at_least, within
std::string word_of(Met);               // met, missed, unknown
std::string word_of(Verdict);           // no_change, improved, regressed, too_few

// The way back, for what the record keeps: Placement, Role, Wait, Payload, Better, Statistic, Target::Relation. Throws Error for another word.
template <class Enum>
Enum from_word(std::string_view);

// A machine as the record keeps it and exports show it.
nlohmann::json json_of(const Machine&);

}  // namespace hawse::bench
