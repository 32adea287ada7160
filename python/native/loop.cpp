// SPDX-License-Identifier: Apache-2.0
//
// Loop: what the driving thread of a node sits in. It waits for the next frame of any input (fairly, one link after the other), for room and
// for slots of an output, keeps the node page, and watches the control socket.
//
// Watching.   A small native thread (it never takes the GIL) sits in epoll on the socket, edge-triggered. A message sets a flag and wakes
//             the driving thread, so that one wait covers frames and control; a hang-up ends the process even while user code runs.
// Sleeping.   plane::wait_on(), as any node.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "objects.hpp"
#include "plane/wait.hpp"

namespace hawse::python {

// Shared by the loop and its watching thread; freed by whichever lets go last.
struct Watch {
  std::atomic<std::uint32_t> owners;
  std::atomic<bool> message;   // [watch.message] thread releases, loop acquires
  std::atomic<bool> hung_up;
  plane::Waker waker;          // of the driving thread
  int epoll_fd, socket_fd;
  bool exit_on_hangup;
};

namespace {

LoopObject* loop_of(PyObject* self) { return reinterpret_cast<LoopObject*>(self); }
plane::NodePage* page_of(LoopObject* loop) { return reinterpret_cast<plane::NodePage*>(loop->page.data()); }

// Counters that this process alone writes: no locked instruction needed.
void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

void show_life(LoopObject* loop, std::int64_t now_ns) {
  if (plane::NodePage* page = page_of(loop)) page->since_ns.store(static_cast<std::uint64_t>(now_ns), std::memory_order_relaxed);
}

void set_state(LoopObject* loop, plane::NodeState state) {
  plane::NodePage* page = page_of(loop);
  if (page == nullptr || page->state.load(std::memory_order_relaxed) == static_cast<std::uint32_t>(state)) return;
  show_life(loop, plane::monotonic_ns());
  page->state.store(static_cast<std::uint32_t>(state), std::memory_order_release);
}

// ---- the watching thread ------------------------------------------------------------------------------------------------------

void let_go(Watch* watch) {
  if (watch == nullptr || watch->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  close(watch->epoll_fd);
  close(watch->socket_fd);
  std::free(watch);
}

void watch_socket(void* argument) {
  auto* watch = static_cast<Watch*>(argument);
  sigset_t all;
  sigfillset(&all);  // signals are the main thread's
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, nullptr, 8);
  for (;;) {
    epoll_event event{};
    const int count = epoll_wait(watch->epoll_fd, &event, 1, -1);
    if (count < 0 && errno != EINTR) break;
    if (count <= 0) continue;
    const bool gone = (event.events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0;
    if (gone && watch->exit_on_hangup) _exit(1);  // the runtime is gone: nobody is left to end anything in order for
    if (gone) watch->hung_up.store(true, std::memory_order_relaxed);
    watch->message.store(true, std::memory_order_release);
    watch->waker.wake();
    if (gone) break;
  }
  let_go(watch);
}

// watch(socket_fd, exit_on_hangup)
PyObject* loop_watch(PyObject* self, PyObject* args) {
  int socket_fd = 0, exit_on_hangup = 0;
  if (PyArg_ParseTuple(args, "ip", &socket_fd, &exit_on_hangup) == 0) return nullptr;
  auto* watch = static_cast<Watch*>(std::calloc(1, sizeof(Watch)));
  if (watch == nullptr) return PyErr_NoMemory();
  new (watch) Watch{};
  watch->owners.store(1, std::memory_order_relaxed);
  watch->exit_on_hangup = exit_on_hangup != 0;
  watch->socket_fd = fcntl(socket_fd, F_DUPFD_CLOEXEC, 3);
  watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  Status status = watch->socket_fd < 0 || watch->epoll_fd < 0 ? Status::system : Status::ok;
  if (status == Status::ok && epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->socket_fd, &event) != 0) status = Status::system;
  if (status == Status::ok) {
    watch->owners.store(2, std::memory_order_relaxed);
    if (PyThread_start_new_thread(&watch_socket, watch) == static_cast<unsigned long>(-1)) {
      watch->owners.store(1, std::memory_order_relaxed);
      status = Status::limit;
    }
  }
  if (status != Status::ok) {
    raise_status("watch the control socket", status);
    let_go(watch);
    return nullptr;
  }
  let_go(loop_of(self)->watch);
  loop_of(self)->watch = watch;
  return none();
}

bool message_waits(const LoopObject* loop) { return loop->watch != nullptr && loop->watch->message.load(std::memory_order_acquire); }  // [watch.message]

// When an output is to be asked what it gives back. Python does that, with the messages.
std::int64_t next_look(const LoopObject* loop) {
  std::int64_t next_ns = plane::kNever;
  for (std::uint32_t i = 0; loop->watch != nullptr && i < loop->output_count; ++i)
    if (const std::int64_t look_ns = loop->outputs[i]->port.look_ns(); look_ns < next_ns) next_ns = look_ns;
  return next_ns;
}

bool look_is_due(LoopObject* loop, std::int64_t now_ns) {
  if (now_ns < next_look(loop)) return false;
  loop->watch->message.store(true, std::memory_order_release);
  return true;
}

// messages() -> bool: something came over the socket since the last call, or an output is to be asked what it gives back. Read it until it's empty.
PyObject* loop_messages(PyObject* self, PyObject*) {
  Watch* watch = loop_of(self)->watch;
  for (std::uint32_t i = 0; i < loop_of(self)->output_count; ++i)
    if (loop_of(self)->outputs[i]->port.look_is_due()) return PyBool_FromLong(1);
  return PyBool_FromLong(watch != nullptr && watch->message.load(std::memory_order_relaxed) && watch->message.exchange(false, std::memory_order_acq_rel) ? 1 : 0);
}

// interrupt(), from any thread: ends the driving thread's wait as a message would.
PyObject* loop_interrupt(PyObject* self, PyObject*) {
  LoopObject* loop = loop_of(self);
  if (loop->watch == nullptr) return none();
  loop->watch->message.store(true, std::memory_order_release);
  loop->watch->waker.wake();
  return none();
}

PyObject* loop_hung_up(PyObject* self, void*) {
  const Watch* watch = loop_of(self)->watch;
  return PyBool_FromLong(watch != nullptr && watch->hung_up.load(std::memory_order_relaxed) ? 1 : 0);
}

// ---- waiting --------------------------------------------------------------------------------------------------------------------

bool is_passed_over(const LinkObject* link) { return link->ended || (link->paused && link->link.flush_waiting() == 0); }

bool any_unread(LoopObject* loop) {
  for (std::uint32_t i = 0; i < loop->input_count; ++i)
    if (!is_passed_over(loop->inputs[i]) && loop->inputs[i]->link.has_unread()) return true;
  return false;
}

// What a sleep is for: frames, or one output (room, or slots beyond those in use before).
struct Wanted {
  bool frames = false;
  PortObject* room = nullptr;
  PortObject* slots = nullptr;
  PortObject* settled = nullptr;
  std::uint64_t in_use = 0;
  bool while_unread = false;  // slots: until the readers have read everything, at the latest
};

bool there(LoopObject* loop, const Wanted& wanted) {
  if (message_waits(loop)) return true;
  if (wanted.frames && any_unread(loop)) return true;
  if ((wanted.room != nullptr || wanted.slots != nullptr) && is_interrupted(loop)) return true;  // what waits for an output is void
  if (wanted.room != nullptr && wanted.room->port.can_send()) return true;
  if (wanted.settled != nullptr && is_settled(wanted.settled)) return true;
  if (wanted.slots == nullptr) return false;
  wanted.slots->port.pump();
  return wanted.slots->port.slots_in_use() < wanted.in_use || (wanted.while_unread && unread_on_blocking(wanted.slots) == 0);
}

bool listens(const PortObject* port, const Wanted& wanted) {
  return port == wanted.room || port == wanted.slots || port == wanted.settled;
}

struct Waiter {
  LoopObject* loop;
  const Wanted& wanted;

  bool there() { return python::there(loop, wanted); }

  void prepare_sleep(plane::SleepSet& set) {
    for (std::uint32_t i = 0; i < loop->input_count; ++i)
      if (!loop->inputs[i]->ended) loop->inputs[i]->link.prepare_sleep(set, !wanted.frames);
    for (std::uint32_t i = 0; i < loop->output_count; ++i)
      if (listens(loop->outputs[i], wanted)) loop->outputs[i]->port.prepare_sleep(set);
  }

  void sleeps_on(const std::atomic<std::uint32_t>* word) {
    if (loop->watch != nullptr) loop->watch->waker.sleeps_on(word);
  }

  void cancel_sleep() {
    if (loop->watch != nullptr) loop->watch->waker.awake();
    for (std::uint32_t i = 0; i < loop->input_count; ++i) loop->inputs[i]->link.cancel_sleep();
    for (std::uint32_t i = 0; i < loop->output_count; ++i) loop->outputs[i]->port.cancel_sleep();
  }

  void asleep(bool begins) {
    if (begins) set_state(loop, plane::NodeState::waiting);
  }
};

// Looks, then sleeps, until what is wanted is there, a message came, the bell rang for another reason, or the timeout passed (< 0: none).
void sleep_for(LoopObject* loop, const Wanted& wanted, std::int64_t timeout_ns) {
  const std::int64_t from_ns = plane::monotonic_ns();
  for (std::uint32_t i = 0; i < loop->output_count; ++i) flush_abandoned(loop->outputs[i]);
  if (look_is_due(loop, from_ns)) return;
  if (const std::int64_t look_ns = next_look(loop); look_ns != plane::kNever && (timeout_ns < 0 || look_ns - from_ns < timeout_ns)) timeout_ns = look_ns - from_ns;
  Py_BEGIN_ALLOW_THREADS
  plane::wait_on(loop->bell, loop->spin, from_ns, timeout_ns, Waiter{loop, wanted});
  Py_END_ALLOW_THREADS
  const std::int64_t waited_ns = plane::monotonic_ns() - from_ns;
  loop->spin.came(waited_ns);
  loop->blocked_ns += waited_ns;
}

void leave_call(LoopObject* loop) {
  if (loop->entered_ns == 0) return;
  if (plane::NodePage* page = page_of(loop)) plane::end_work(*page);
  const std::int64_t spent_ns = plane::monotonic_ns() - loop->entered_ns - loop->blocked_ns;
  loop->entered_ns = 0;
  if (plane::NodePage* page = page_of(loop)) plane::record(page->processing, spent_ns > 0 ? static_cast<std::uint64_t>(spent_ns) : 0);
}

void enter_call(LoopObject* loop) {
  if (!loop->is_node) return;
  set_state(loop, plane::NodeState::busy);
  loop->blocked_ns = 0;
  loop->entered_ns = plane::monotonic_ns();
  show_life(loop, loop->entered_ns);
  look_is_due(loop, loop->entered_ns);
}

bool has_heard(const LoopObject* loop, std::uint64_t flush_id) {
  for (const std::uint64_t id : loop->heard)
    if (id == flush_id) return true;
  return false;
}

// ---- next -----------------------------------------------------------------------------------------------------------------------

// What is sent from now on takes this frame's time and trace.
void take_in_hand(LoopObject* loop, const plane::FrameHeader& header, std::uint32_t link) {
  if (plane::NodePage* page = page_of(loop)) plane::begin_work(*page, link, header);
  loop->timestamp_ns = header.timestamp_ns;
  loop->trace_id = header.trace_id;
  loop->sequence = header.sequence;
  loop->has_frame = loop->is_node;
}

// One look at link i. A frame, or null; null with flush_came set where a flush came, with an exception set where the peer broke the rules.
PyObject* look_at(LoopObject* loop, std::uint32_t i) {
  LinkObject* link = loop->inputs[i];
  plane::Received received;
  Status status = link->link.receive(&received);
  while (status == Status::flushed) {
    if (hear(loop, received.flush_id)) {
      loop->flush_id = received.flush_id;
      loop->flushed_link = i;
      loop->flush_came = true;
      return nullptr;
    }
    status = link->link.receive(&received);
  }
  if (status == Status::ok) {
    loop->after_flush = false;
    loop->next = i + 1 == loop->input_count ? 0 : i + 1;
    if (plane::NodePage* page = page_of(loop)) plane::count_in(*page);
    if (loop->timed) take_in_hand(loop, received.header, i);
    return received_frame(link, received);
  }
  if (status == Status::ended || status == Status::corrupt) {
    link->ended = true;
    if (!link->feedback) --loop->open;
  }
  if (status == Status::corrupt) PyErr_Format(PyExc_RuntimeError, "input link %u: its writer broke the rules of the plane; the link is closed", i);
  return nullptr;
}

// (frame, link index), so that the caller knows the port without another call
PyObject* with_index(PyObject* frame, std::uint32_t index) {
  PyObject* pair = frame != nullptr ? PyTuple_New(2) : nullptr;
  PyObject* number = pair != nullptr ? PyLong_FromUnsignedLong(index) : nullptr;
  if (number == nullptr) {
    Py_XDECREF(frame);
    Py_XDECREF(pair);
    return nullptr;
  }
  PyTuple_SetItem(pair, 0, frame);
  PyTuple_SetItem(pair, 1, number);
  return pair;
}

// The link whose turn it is: of several one with a flush comes first; not the same twice in a row: a sender that flushes without end takes no more than its turn.
std::uint32_t first_link(const LoopObject* loop) {
  for (std::uint32_t i = 0; loop->input_count > 1 && i < loop->input_count; ++i)
    if (!(loop->after_flush && i == loop->flushed_link) && !loop->inputs[i]->ended && loop->inputs[i]->link.flush_waiting() != 0) return i;
  return loop->next;
}

// next(timeout_ns) -> (Frame, link index); 0: look at the control messages (and, where `timed` is off, at which links have ended); 1: every input has
// ended, or this node hands over; 2: the timeout passed; 3: a flush came, see `flush`
PyObject* loop_next(PyObject* self, PyObject* argument) {
  LoopObject* loop = loop_of(self);
  const long long timeout_ns = PyLong_AsLongLong(argument);
  if (timeout_ns == -1 && PyErr_Occurred() != nullptr) return nullptr;
  leave_call(loop);
  const std::int64_t until_ns = timeout_ns < 0 ? 0 : plane::monotonic_ns() + timeout_ns;
  for (;;) {
    if (message_waits(loop)) return PyLong_FromLong(0);
    if (loop->handing_over) {
      for (std::uint32_t i = 0; i < loop->input_count; ++i) loop->inputs[i]->abandoned = true;
      return PyLong_FromLong(1);
    }
    for (std::uint32_t n = 0, i = first_link(loop); n < loop->input_count; ++n, i = i + 1 == loop->input_count ? 0 : i + 1) {
      if (is_passed_over(loop->inputs[i])) continue;
      PyObject* frame = look_at(loop, i);
      if (frame == nullptr && PyErr_Occurred() != nullptr) return nullptr;
      if (loop->flush_came) {
        loop->flush_came = false;
        loop->after_flush = true;
        loop->next = i + 1 == loop->input_count ? 0 : i + 1;
        return PyLong_FromLong(3);
      }
      if (frame == nullptr && loop->inputs[i]->ended && !loop->timed) return PyLong_FromLong(0);
      if (frame == nullptr) continue;
      if (loop->timed) enter_call(loop);
      return with_index(frame, i);
    }
    if (loop->open == 0) return PyLong_FromLong(1);
    const std::int64_t left_ns = timeout_ns < 0 ? -1 : until_ns - plane::monotonic_ns();
    if (timeout_ns >= 0 && left_ns <= 0) return PyLong_FromLong(2);
    Wanted wanted;
    wanted.frames = true;
    sleep_for(loop, wanted, left_ns);
    if (PyErr_CheckSignals() != 0) return nullptr;
  }
}

PyObject* sleep_once(LoopObject* loop, const Wanted& wanted, long long timeout_ns) {
  const plane::NodePage* page = page_of(loop);
  const std::uint32_t before = page != nullptr ? page->state.load(std::memory_order_relaxed) : 0;
  sleep_for(loop, wanted, timeout_ns);
  set_state(loop, static_cast<plane::NodeState>(before));
  return PyErr_CheckSignals() != 0 ? nullptr : none();
}

bool port_argument(PyObject* args, PyObject** port, long long* timeout_ns) {
  return PyArg_ParseTuple(args, "O!L", types.port, port, timeout_ns) != 0;
}

// wait_room(port, timeout_ns), wait_slot(port, timeout_ns), wait_settled(port, timeout_ns): one sleep; then look again.
// The third argument, if true: of wait_room, frames end it, too; of wait_slot, it ends when no reader has anything unread any more, too.
PyObject* loop_wait_room(PyObject* self, PyObject* args) {
  PyObject* port = nullptr;
  long long timeout_ns = 0;
  int frames = 0;
  if (PyArg_ParseTuple(args, "O!L|p", types.port, &port, &timeout_ns, &frames) == 0) return nullptr;
  Wanted wanted;
  wanted.frames = frames != 0;
  wanted.room = reinterpret_cast<PortObject*>(port);
  return sleep_once(loop_of(self), wanted, timeout_ns);
}

PyObject* loop_wait_slot(PyObject* self, PyObject* args) {
  PyObject* port = nullptr;
  long long timeout_ns = 0;
  int while_unread = 0;
  if (PyArg_ParseTuple(args, "O!Lp", types.port, &port, &timeout_ns, &while_unread) == 0) return nullptr;
  Wanted wanted;
  wanted.slots = reinterpret_cast<PortObject*>(port);
  wanted.in_use = wanted.slots->port.slots_in_use();  // first: what views gave up counts as returned
  flush_abandoned(wanted.slots);
  wanted.while_unread = while_unread != 0;
  return sleep_once(loop_of(self), wanted, timeout_ns);
}

PyObject* loop_wait_settled(PyObject* self, PyObject* args) {
  PyObject* port = nullptr;
  long long timeout_ns = 0;
  if (!port_argument(args, &port, &timeout_ns)) return nullptr;
  Wanted wanted;
  wanted.settled = reinterpret_cast<PortObject*>(port);
  flush_abandoned(wanted.settled);
  return sleep_once(loop_of(self), wanted, timeout_ns);
}

// wait(timeout_ns): for a message or a ring
PyObject* loop_wait(PyObject* self, PyObject* argument) {
  const long long timeout_ns = PyLong_AsLongLong(argument);
  if (timeout_ns == -1 && PyErr_Occurred() != nullptr) return nullptr;
  return sleep_once(loop_of(self), Wanted{}, timeout_ns);
}

PyObject* loop_enter(PyObject* self, PyObject*) {
  enter_call(loop_of(self));
  return none();
}
PyObject* loop_leave(PyObject* self, PyObject*) {
  leave_call(loop_of(self));
  return none();
}
PyObject* loop_alive(PyObject* self, PyObject*) {
  show_life(loop_of(self), plane::monotonic_ns());
  return none();
}
PyObject* loop_hand_over(PyObject* self, PyObject*) {
  loop_of(self)->handing_over = true;
  return none();
}
PyObject* loop_set_state(PyObject* self, PyObject* argument) {
  std::int64_t state = 0;
  if (!get_integer(argument, 0, 3, "the state", state)) return nullptr;
  set_state(loop_of(self), static_cast<plane::NodeState>(state));
  return none();
}

// ---- set-up ---------------------------------------------------------------------------------------------------------------------

// Loop(bell_fd, page_fd | -1, spin_ns, is_node = True)
PyObject* loop_new(PyTypeObject* type, PyObject* args, PyObject*) {
  int bell_fd = 0, page_fd = 0, is_node = 1;
  long long spin_ns = 0;
  if (PyArg_ParseTuple(args, "iiL|p", &bell_fd, &page_fd, &spin_ns, &is_node) == 0) return nullptr;
  auto* loop = allocate<LoopObject>(type);
  if (loop == nullptr) return nullptr;
  new (&loop->bell) plane::Bell();
  new (&loop->page) plane::Mapping();
  loop->spin.set_limit(plane::has_one_core() ? 0 : spin_ns);
  loop->is_node = is_node != 0;
  loop->timed = true;
  Status status = plane::Bell::map(bell_fd, &loop->bell);
  if (status == Status::ok && page_fd >= 0) status = plane::Mapping::map(page_fd, plane::kNodePageBytes, false, &loop->page);
  if (status == Status::ok) return reinterpret_cast<PyObject*>(loop);
  raise_status("map a node's doorbell", status);
  Py_DECREF(reinterpret_cast<PyObject*>(loop));
  return nullptr;
}

template <typename T>
bool append(T*** list, std::uint32_t count, PyObject* object) {
  auto* grown = static_cast<T**>(PyMem_Realloc(*list, (count + 1) * sizeof(T*)));
  if (grown == nullptr) return PyErr_NoMemory() != nullptr;
  *list = grown;
  grown[count] = reinterpret_cast<T*>(object);
  Py_INCREF(object);
  return true;
}

// add_input(link, feedback = False)
PyObject* loop_add_input(PyObject* self, PyObject* args) {
  LoopObject* loop = loop_of(self);
  PyObject* argument = nullptr;
  int feedback = 0;
  if (PyArg_ParseTuple(args, "O!|p", types.link, &argument, &feedback) == 0) return nullptr;
  if (!append(&loop->inputs, loop->input_count, argument)) return nullptr;
  loop->inputs[loop->input_count]->feedback = feedback != 0;
  ++loop->input_count;
  if (feedback == 0) ++loop->open;
  return none();
}

PyObject* loop_add_output(PyObject* self, PyObject* argument) {
  LoopObject* loop = loop_of(self);
  if (PyObject_TypeCheck(argument, types.port) == 0) return PyErr_Format(PyExc_TypeError, "add_output takes an OutputPort");
  if (!append(&loop->outputs, loop->output_count, argument)) return nullptr;
  loop->outputs[loop->output_count++]->loop = loop;
  return none();
}

void loop_dealloc(PyObject* self) {
  LoopObject* loop = loop_of(self);
  let_go(loop->watch);
  for (std::uint32_t i = 0; i < loop->output_count; ++i) {
    loop->outputs[i]->loop = nullptr;
    Py_DECREF(reinterpret_cast<PyObject*>(loop->outputs[i]));
  }
  for (std::uint32_t i = 0; i < loop->input_count; ++i) Py_DECREF(reinterpret_cast<PyObject*>(loop->inputs[i]));
  PyMem_Free(loop->inputs);
  PyMem_Free(loop->outputs);
  loop->page.~Mapping();
  loop->bell.~Bell();
  free_object(self);
}

// take_in_hand(frame, link index)
PyObject* loop_take_in_hand(PyObject* self, PyObject* args) {
  PyObject* frame = nullptr;
  unsigned link = 0;
  if (PyArg_ParseTuple(args, "O!I", types.frame, &frame, &link) == 0) return nullptr;
  take_in_hand(loop_of(self), reinterpret_cast<FrameObject*>(frame)->header, link);
  return none();
}

// flush -> (link index, id) of what next() said last
PyObject* loop_flush(PyObject* self, void*) { return Py_BuildValue("(IK)", loop_of(self)->flushed_link, loop_of(self)->flush_id); }

// interrupted() -> bool: a flush waits that the node hasn't heard of
PyObject* loop_interrupted(PyObject* self, PyObject*) { return PyBool_FromLong(is_interrupted(loop_of(self)) ? 1 : 0); }

PyObject* loop_sequence(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(loop_of(self)->sequence); }

PyObject* loop_timed(PyObject* self, void*) { return PyBool_FromLong(loop_of(self)->timed ? 1 : 0); }
int loop_set_timed(PyObject* self, PyObject* value, void*) {
  const int timed = value == nullptr ? -1 : PyObject_IsTrue(value);
  if (timed >= 0) loop_of(self)->timed = timed != 0;
  return timed < 0 ? -1 : 0;
}

PyMethodDef loop_methods[] = {
    {"watch", method(&loop_watch), METH_VARARGS, nullptr},
    {"messages", method(&loop_messages), METH_NOARGS, nullptr},
    {"add_input", method(&loop_add_input), METH_VARARGS, nullptr},
    {"add_output", method(&loop_add_output), METH_O, nullptr},
    {"next", method(&loop_next), METH_O, nullptr},
    {"wait", method(&loop_wait), METH_O, nullptr},
    {"wait_room", method(&loop_wait_room), METH_VARARGS, nullptr},
    {"wait_slot", method(&loop_wait_slot), METH_VARARGS, nullptr},
    {"wait_settled", method(&loop_wait_settled), METH_VARARGS, nullptr},
    {"interrupted", method(&loop_interrupted), METH_NOARGS, nullptr},
    {"take_in_hand", method(&loop_take_in_hand), METH_VARARGS, nullptr},
    {"enter", method(&loop_enter), METH_NOARGS, nullptr},
    {"leave", method(&loop_leave), METH_NOARGS, nullptr},
    {"set_state", method(&loop_set_state), METH_O, nullptr},
    {"alive", method(&loop_alive), METH_NOARGS, nullptr},
    {"interrupt", method(&loop_interrupt), METH_NOARGS, nullptr},
    {"hand_over", method(&loop_hand_over), METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef loop_properties[] = {
    {"hung_up", &loop_hung_up, nullptr, "The control socket's other end is gone.", nullptr},
    {"flush", &loop_flush, nullptr, "(link number, id) of the flush that next() said last.", nullptr},
    {"timed", &loop_timed, &loop_set_timed, "A frame that next() gives is in hand, and timed, until the next call of next().", nullptr},
    {"sequence", &loop_sequence, nullptr, "Sequence of the newest frame; 0: none yet.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot loop_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(&loop_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&loop_dealloc)},
    {Py_tp_methods, loop_methods},
    {Py_tp_getset, loop_properties},
    {0, nullptr},
};
PyType_Spec loop_spec = {"hawse._plane.Loop", sizeof(LoopObject), 0, Py_TPFLAGS_DEFAULT, loop_slots};

}  // namespace

bool is_interrupted(const LoopObject* loop) {
  if (loop == nullptr || !loop->is_node) return false;
  for (std::uint32_t i = 0; i < loop->input_count; ++i) {
    const std::uint64_t id = loop->inputs[i]->ended ? 0 : loop->inputs[i]->link.flush_waiting();
    if (id != 0 && !has_heard(loop, id)) return true;
  }
  return false;
}

bool hear(LoopObject* loop, std::uint64_t flush_id) {
  if (!loop->is_node) return true;  // a program's inputs and outputs have nothing to do with each other: each output is told
  if (has_heard(loop, flush_id)) return false;
  loop->heard[loop->next_heard++ % (sizeof loop->heard / sizeof *loop->heard)] = flush_id;
  return true;
}

void frame_left(LoopObject* loop, std::uint64_t count) {
  if (loop == nullptr) return;
  if (plane::NodePage* page = page_of(loop)) add(page->frames_out, count);
}

bool add_loop_type(PyObject* module) {
  types.loop = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&loop_spec));
  return add_type(module, "Loop", types.loop);
}

}  // namespace hawse::python
