// SPDX-License-Identifier: Apache-2.0
//
// The followed words as variables of Relacy's, mutations, deaths. All of an execution is one thread's; nothing here allocates
// while one runs, because Relacy counts allocations.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Warray-bounds"  // of Relacy's, found where it is instantiated
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <relacy/relacy.hpp>
#pragma GCC diagnostic pop
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <new>
#include <ostream>
#include <streambuf>

#include "plane/model/explorer.hpp"

namespace hawse::model {
namespace {

constexpr std::size_t kMostWords = 256, kTable = 1024, kMostOperations = 256, kMostThreads = 4, kMostSlept = 4;

struct Word {
  const void* address;
  const char* name;  // null: a payload
  bool used;
  alignas(rl::atomic<std::uint64_t>) unsigned char atomic[sizeof(rl::atomic<std::uint64_t>)];
  alignas(rl::var<std::uint64_t>) unsigned char plain[sizeof(rl::var<std::uint64_t>)];
  rl::atomic<std::uint64_t>& shared() { return *std::launder(reinterpret_cast<rl::atomic<std::uint64_t>*>(atomic)); }
  rl::var<std::uint64_t>& payload() { return *std::launder(reinterpret_cast<rl::var<std::uint64_t>*>(plain)); }
};

struct Thread {
  jmp_buf before_death;
  bool mortal;
  int last_operation;  // index + 1; a fence is named after it
  bool delayed;        // a store that a mutation holds back
  Word* delayed_word;
  std::uint64_t delayed_value;
  std::memory_order delayed_order;
  const Word* sleeps_on[kMostSlept];  // several at a time, on `bed`
  std::size_t sleeps_on_count;
  Word* bed;
  std::uint64_t bed_word;
};

Word words[kMostWords];
std::size_t word_count = 0;
std::uint16_t table[kTable];  // index + 1 by address
Thread threads[kMostThreads];
bool running = false, ending = false;  // ending: also while a model is built: nobody sleeps then, and nobody dies
bool sleep_followed = false;           // else a fence has nothing to order, and isn't entered
Operation met[kMostOperations];
int met_count = 0;
std::vector<Operation> met_list;
const Maker* maker_now = nullptr;
Mutation mutation;
char message[256];
alignas(std::max_align_t) unsigned char model_place[4096];
Model* model_now = nullptr;

rl::debug_info where(Site site) { return rl::debug_info("plane", site.file == nullptr ? "model" : site.file, static_cast<unsigned>(site.line)); }

rl::memory_order relacys(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed: return rl::mo_relaxed;
    case std::memory_order_consume: return rl::mo_consume;
    case std::memory_order_acquire: return rl::mo_acquire;
    case std::memory_order_release: return rl::mo_release;
    case std::memory_order_acq_rel: return rl::mo_acq_rel;
    case std::memory_order_seq_cst: break;
  }
  return rl::mo_seq_cst;
}

std::size_t hash(const void* address) { return (reinterpret_cast<std::uintptr_t>(address) >> 2) * 0x9e3779b97f4a7c15ull >> 54; }

Word* find(const void* address) {
  if (!running) return nullptr;
  for (std::size_t at = hash(address);; at = (at + 1) % kTable) {
    if (table[at] == 0) return nullptr;
    if (words[table[at] - 1].address == address) return &words[table[at] - 1];
  }
}

Word& add(const void* address, const char* name) {
  if (word_count == kMostWords || find(address) != nullptr) abort();
  Word& word = words[word_count++];
  word.address = address;
  word.name = name;
  std::size_t at = hash(address);
  while (table[at] != 0) at = (at + 1) % kTable;
  table[at] = static_cast<std::uint16_t>(word_count);
  return word;
}

std::uint64_t plain_load(const void* word, std::size_t bytes) {
  std::uint64_t value = 0;
  memcpy(&value, word, bytes);
  return value;
}

Thread& self() { return threads[rl::thread_index()]; }

bool same(const Operation& a, const Operation& b) {
  return a.site.line == b.site.line && a.kind == b.kind && a.word == b.word && (a.site.file == b.site.file || strcmp(a.site.file, b.site.file) == 0);
}

bool is_mutated(const Operation& operation, Mutation::How how) { return mutation.how == how && same(mutation.of, operation); }

void may_die_here() {
  Thread& thread = self();
  if (!thread.mortal || ending || rl::rand(2) == 0) return;
  thread.mortal = thread.delayed = false;
  longjmp(thread.before_death, 1);
}

// Where every followed operation begins: here a mortal thread may die, and the operation is entered into the list.
Operation begin(Kind kind, const Word& word, std::memory_order order, Site site) {
  const Operation operation{site, kind, word.name, order};
  if (site.file == nullptr) return operation;
  may_die_here();
  Thread& thread = self();
  int at = 0;
  while (at < met_count && !same(met[at], operation)) ++at;
  if (at == met_count) {
    if (met_count == kMostOperations) abort();
    met[met_count++] = operation;
  }
  thread.last_operation = at + 1;
  return operation;
}

void release_delayed() {
  Thread& thread = self();
  if (!thread.delayed) return;
  thread.delayed = false;
  thread.delayed_word->shared().store(thread.delayed_value, relacys(thread.delayed_order), where({nullptr, 0}));
}

// A store held back comes after the operation in whose scope this is; before it, where both are to the same word.
struct AfterThis {
  explicit AfterThis(const Word& word) : had(self().delayed) {
    if (had && self().delayed_word == &word) release_delayed();
  }
  ~AfterThis() {
    if (!had) return;
    may_die_here();
    release_delayed();
  }
  bool had;
};

}  // namespace

bool is_running() noexcept { return running; }

std::uint64_t load(const void* address, std::size_t bytes, std::memory_order order, Site site) noexcept {
  Word* const word = find(address);
  if (word == nullptr) return plain_load(address, bytes);
  const Operation operation = begin(Kind::load, *word, order, site);
  const AfterThis after(*word);
  return word->shared().load(is_mutated(operation, Mutation::How::relaxed) ? rl::mo_relaxed : relacys(order), where(site));
}

void store(void* address, std::size_t bytes, std::uint64_t value, std::memory_order order, Site site) noexcept {
  Word* const word = find(address);
  if (word == nullptr) {
    memcpy(address, &value, bytes);
    return;
  }
  const Operation operation = begin(Kind::store, *word, order, site);
  const AfterThis after(*word);
  if (is_mutated(operation, Mutation::How::swapped) && !self().delayed && !ending) {
    Thread& thread = self();
    thread.delayed = true;
    thread.delayed_word = word;
    thread.delayed_value = value;
    thread.delayed_order = order;
    return;
  }
  word->shared().store(value, is_mutated(operation, Mutation::How::relaxed) ? rl::mo_relaxed : relacys(order), where(site));
}

// Relacy's sequentially consistent change is not ordered with what fences order; in C++20, and on the processors, it is, before
// a sequentially consistent load. So it is one that acquires and releases, and a fence.
std::uint64_t change(Change how, void* address, std::size_t bytes, std::uint64_t operand, std::memory_order order, Site site) noexcept {
  Word* const word = find(address);
  if (word == nullptr) {
    const std::uint64_t old = plain_load(address, bytes);
    const std::uint64_t value = how == Change::exchange ? operand : how == Change::add ? old + operand : old | operand;
    memcpy(address, &value, bytes);
    return old;
  }
  const Operation operation = begin(Kind::change, *word, order, site);
  const AfterThis after(*word);
  const bool fenced =
      order == std::memory_order_seq_cst && !is_mutated(operation, Mutation::How::no_fence) && !is_mutated(operation, Mutation::How::relaxed);
  if (order == std::memory_order_seq_cst) order = std::memory_order_acq_rel;
  if (is_mutated(operation, Mutation::How::relaxed)) order = std::memory_order_relaxed;
  std::uint64_t old = 0;
  if (how == Change::exchange) old = word->shared().exchange(operand, relacys(order), where(site));
  if (how == Change::add) old = word->shared().fetch_add(operand, relacys(order), where(site));
  if (how == Change::set) old = word->shared().fetch_or(operand, relacys(order), where(site));
  if (fenced) rl::atomic_thread_fence(rl::mo_seq_cst, where(site));
  if (how == Change::exchange && old == operand && strcmp(word->name, "taken") == 0) rl::yield(1, where(site));  // a lock that another one has
  return old;
}

bool compare_exchange(void* address, std::size_t bytes, std::uint64_t* expected, std::uint64_t value, std::memory_order order,
                      std::memory_order failed, Site site) noexcept {
  Word* const word = find(address);
  if (word == nullptr) {
    const std::uint64_t old = plain_load(address, bytes);
    const bool done = old == *expected;
    if (done) memcpy(address, &value, bytes);
    *expected = old;
    return done;
  }
  const Operation operation = begin(Kind::compare, *word, order, site);
  const AfterThis after(*word);
  const bool fenced =
      order == std::memory_order_seq_cst && !is_mutated(operation, Mutation::How::no_fence) && !is_mutated(operation, Mutation::How::relaxed);
  if (order == std::memory_order_seq_cst) order = std::memory_order_acq_rel;
  if (failed == std::memory_order_seq_cst) failed = std::memory_order_acquire;
  if (is_mutated(operation, Mutation::How::relaxed)) order = failed = std::memory_order_relaxed;
  const bool done = word->shared().compare_exchange_strong(*expected, value, relacys(order), where(site), relacys(failed), where(site));
  if (fenced) rl::atomic_thread_fence(rl::mo_seq_cst, where(site));
  return done;
}

void fence(std::memory_order order) noexcept {
  if (!running) return std::atomic_thread_fence(order);
  Thread& thread = self();
  if (thread.last_operation == 0) return;
  const Operation after = met[thread.last_operation - 1];
  const Operation operation{after.site, Kind::fence, after.word, order};
  if (!sleep_followed || ending) return rl::atomic_thread_fence(relacys(order), where(after.site));
  int at = 0;
  while (at < met_count && !same(met[at], operation)) ++at;
  if (at == met_count) met[met_count++] = operation;
  if (!is_mutated(operation, Mutation::How::relaxed)) rl::atomic_thread_fence(relacys(order), where(after.site));
}

// The kernel compares with the words' newest values, and no wake is between that and the sleep. Who was told that one is another
// has seen it: a change by nothing is how Relacy reads the newest.
bool futex_wait(const FutexWord* slept, std::size_t count) noexcept {
  Thread& thread = self();
  if (count > kMostSlept || (count > 1 && thread.bed == nullptr)) abort();
  release_delayed();
  rl::ctx().sched();
  for (std::size_t i = 0; i < count; ++i) {
    Word* const word = find(slept[i].word);
    if (word == nullptr) abort();
    thread.sleeps_on[i] = word;
    if (word->shared().debug_value() == slept[i].expected) continue;
    word->shared().fetch_add(0, rl::mo_relaxed, where({nullptr, 0}));
    return false;
  }
  Word* const bed = count > 1 ? thread.bed : find(slept[0].word);
  thread.sleeps_on_count = count > 1 ? count : 0;
  bed->shared().wait(rl::ctx(), false, false, where({nullptr, 0}));
  thread.sleeps_on_count = 0;
  return true;
}

void futex_wake(const void* address) noexcept {
  Word* const word = find(address);
  if (word == nullptr) return;  // a word that nobody follows, so nobody sleeps on it
  rl::ctx().sched();
  if (ending) return;
  word->shared().wake(rl::ctx(), static_cast<rl::thread_id_t>(kMostThreads), where({nullptr, 0}));
  for (Thread& thread : threads)
    for (std::size_t i = 0; i < thread.sleeps_on_count; ++i)
      if (thread.sleeps_on[i] == word) thread.bed->shared().wake(rl::ctx(), 1, where({nullptr, 0}));
}

void pause() noexcept { rl::yield(1, where({nullptr, 0})); }

void follow(const void* address, const char* name) noexcept {
  Word& word = add(address, name);
  sleep_followed = sleep_followed || strcmp(name, "link.reader_sleeps") == 0;
  new (word.atomic) rl::atomic<std::uint64_t>();
  word.shared().store(0, rl::mo_relaxed, where({nullptr, 0}));
}

void follow_payload(const void* bytes) noexcept { new (add(bytes, nullptr).plain) rl::var<std::uint64_t>(); }

void let_sleep_on_many() noexcept {
  for (Thread& thread : threads) {
    follow(&thread.bed_word, "bed");
    thread.bed = find(&thread.bed_word);
  }
}

void write_payload(const void* bytes, std::uint64_t value) noexcept { find(bytes)->payload()(where({nullptr, 0})) = value; }

std::uint64_t read_payload(const void* bytes) noexcept { return find(bytes)->payload()(where({nullptr, 0})); }

void check(bool holds, const char* what) noexcept {
  if (holds) return;
  strncpy(message, what, sizeof message - 1);
  rl::ctx().fail_test(message, rl::test_result_user_assert_failed, where({nullptr, 0}));
}

unsigned choose(unsigned count) noexcept { return rl::rand(count); }

bool may_die(void (*f)(void*), void* argument) noexcept {
  Thread& thread = self();
  if (setjmp(thread.before_death) != 0) return true;
  thread.mortal = true;
  f(argument);
  self().mortal = false;
  release_delayed();
  return false;
}

Message::Message() noexcept { follow(&word_, "message"); }
void Message::say(std::uint64_t value) noexcept { store(&word_, sizeof word_, value, std::memory_order_release, {nullptr, 0}); }
void Message::say_unordered(std::uint64_t value) noexcept { store(&word_, sizeof word_, value, std::memory_order_relaxed, {nullptr, 0}); }
std::uint64_t Message::heard_unordered() const noexcept { return load(&word_, sizeof word_, std::memory_order_relaxed, {nullptr, 0}); }
std::uint64_t Message::heard() const noexcept { return load(&word_, sizeof word_, std::memory_order_acquire, {nullptr, 0}); }

namespace {

template <unsigned Threads>
struct Suite : rl::test_suite<Suite<Threads>, Threads> {
  void before() {
    running = true;
    sleep_followed = false;
    word_count = 0;
    memset(table, 0, sizeof table);
    for (Thread& thread : threads) {
      thread.mortal = thread.delayed = false;
      thread.sleeps_on_count = 0;
      thread.bed = nullptr;
    }
    reset_system();
    ending = true;
    model_now = maker_now->make(model_place);
    ending = false;
    for (Thread& thread : threads) thread.last_operation = 0;
  }
  void thread(unsigned index) {
    model_now->thread(index);
    release_delayed();
  }
  void after() {
    ending = true;
    model_now->at_end();
    model_now->~Model();
    for (std::size_t i = 0; i < word_count; ++i) {
      if (words[i].name == nullptr)
        words[i].payload().~var();
      else
        words[i].shared().~atomic();
    }
    running = false;
  }
};

// What Relacy says, in memory of its own: a stream that grows would allocate while an execution runs. The rest is cut off.
struct Said : std::streambuf {
  void clear() { setp(text, text + sizeof text); }
  std::string str() const { return {text, static_cast<std::size_t>(pptr() - pbase())}; }
  char text[1 << 18];
};
Said said;

// The search; and what failed once more, to have its history.
template <unsigned Threads>
bool run(rl::test_params& params) {
  using Scheduler = rl::context_bound_scheduler<Threads>;
  rl::ostringstream state, again;  // of an allocator that an execution does not see
  if (rl::run_test<Suite<Threads>, Scheduler>(params, state, false) == rl::test_result_success) return true;
  params.initial_state = state.str();
  params.collect_history = true;
  rl::run_test<Suite<Threads>, Scheduler>(params, again, true);
  return false;
}

}  // namespace

Outcome explore(const Maker& maker, const Search& search, const Mutation& change_one) {
  if (maker.bytes > sizeof model_place || maker.threads < 2 || maker.threads > 3) abort();
  said.clear();
  std::ostream out(&said);
  rl::test_params params;
  params.iteration_count = ~rl::iteration_t{0} >> 1;
  params.output_stream = params.progress_stream = &out;
  params.progress_output_period = 1000000;
  params.search_type = search.older ? rl::sched_random : rl::sched_bound;  // what a load may see depends on it, and nothing else here
  params.context_bound = search.switches == 0 ? ~0u : search.switches;
  params.execution_depth_limit = 20000;
  maker_now = &maker;
  mutation = change_one;
  message[0] = 0;
  Outcome outcome;
  outcome.failed = !(maker.threads == 2 ? run<2>(params) : run<3>(params));
  running = false;
  mutation = {};
  outcome.executions = static_cast<std::uint64_t>(params.stop_iteration);
  if (outcome.failed) outcome.why = std::string(rl::test_result_str(params.test_result)) + (message[0] != 0 ? ": " : "") + message;
  if (outcome.failed) outcome.history = said.str();
  met_list.assign(met, met + met_count);
  return outcome;
}

const std::vector<Operation>& operations() { return met_list; }

}  // namespace hawse::model
