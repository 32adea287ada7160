// SPDX-License-Identifier: Apache-2.0
//
// Runs the plane's own sources in every interleaving that a bound on switches of threads leaves, under the memory model of C++:
// Relacy does the search, this says to it what the sources do. A word that a model follows is a variable of Relacy's: a load may
// give an older value where the orders allow one. Other atomics (counts, what one side keeps for itself) are plain memory.
// Threads are fibers of one thread; memory, futexes and the clock are the explorer's (system.cpp), so that an execution is repeatable.
//
// A mutation changes one operation of the sources while they run: it is what shows that a model would notice.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hawse::model {

struct Site {
  const char* file;
  int line;
};
enum class Change { exchange, add, set };

// What the sources do, through plane/model/atomic.hpp and system.cpp.
std::uint64_t load(const void* word, std::size_t bytes, std::memory_order, Site) noexcept;
void store(void* word, std::size_t bytes, std::uint64_t value, std::memory_order, Site) noexcept;
std::uint64_t change(Change, void* word, std::size_t bytes, std::uint64_t operand, std::memory_order, Site) noexcept;
bool compare_exchange(void* word, std::size_t bytes, std::uint64_t* expected, std::uint64_t value, std::memory_order, std::memory_order failed,
                      Site) noexcept;
void fence(std::memory_order) noexcept;
struct FutexWord {
  const void* word;
  std::uint32_t expected;
};
bool futex_wait(const FutexWord* words, std::size_t count) noexcept;  // on all of them; false: a word is another one
void futex_wake(const void* word) noexcept;
void pause() noexcept;  // of a thread that can't go on before another one has

// What a model says, in its constructor: which words are followed, and which bytes are a payload, whose races are found.
void follow(const void* word, const char* name) noexcept;
void follow_payload(const void* bytes) noexcept;
void let_sleep_on_many() noexcept;  // threads may sleep on several words at a time

// What its threads do.
void write_payload(const void* bytes, std::uint64_t value) noexcept;
std::uint64_t read_payload(const void* bytes) noexcept;
void check(bool, const char* what) noexcept;
unsigned choose(unsigned count) noexcept;
// Calls f(argument); it may die before any followed operation. True: it did. Nothing of it is cleaned up, like a process that was killed.
bool may_die(void (*f)(void*), void* argument) noexcept;
// Something that the supervisor says, with everything that the one who made it say so did before.
class Message {
 public:
  Message() noexcept;
  void say(std::uint64_t) noexcept;
  std::uint64_t heard() const noexcept;
  void say_unordered(std::uint64_t) noexcept;  // without what was done before
  std::uint64_t heard_unordered() const noexcept;

 private:
  std::uint64_t word_ = 0;
};

// ---- outside of an execution ----
enum class Kind { load, store, change, compare, fence };
// An operation of the sources, as it was met. A fence belongs to the followed operation before it.
struct Operation {
  Site site;
  Kind kind;
  const char* word;
  std::memory_order order;
};
struct Mutation {
  enum class How {
    none,
    relaxed,
    no_fence,
    swapped
  } how = How::none;  // no_fence: of a sequentially consistent change; swapped: a store comes after the next operation
  Operation of{};
};

struct Outcome {
  bool failed = false;
  std::uint64_t executions = 0;
  std::string why, history;
};
// A model is built before each execution (nothing else runs then), its threads run, and at_end() looks at what they left.
struct Model {
  virtual ~Model() = default;
  virtual void thread(unsigned index) = 0;
  virtual void at_end() = 0;
};
struct Maker {
  const char* name;
  unsigned threads;
  std::size_t bytes;
  Model* (*make)(void* place);
};
template <class M>
Maker maker(const char* name, unsigned threads) {
  return {name, threads, sizeof(M), [](void* place) -> Model* { return new (place) M(); }};
}
struct Search {
  unsigned switches = 0;  // how often, at most, a thread that could have gone on is left for another one; 0: no bound
  bool older = false;     // a load may see not only the value before the newest, but the one before that, too
};
Outcome explore(const Maker&, const Search&, const Mutation& = {});
const std::vector<Operation>& operations();  // met in all executions so far

// Of system.cpp.
void reset_system() noexcept;
bool is_running() noexcept;

}  // namespace hawse::model
