// SPDX-License-Identifier: Apache-2.0
//
// hawse-init PROGRAM [ARGUMENT...]: process 1 of a node's container. It joins the node to its session, starts it, reaps, and ends when the runtime is gone.
//
// In order: connect to the socket file $HAWSE_SOCKET, say `join` with $HAWSE_TOKEN, wait for `streams` (the pipes of stdout and stderr), start PROGRAM
// with the connection as descriptor 3 (HAWSE_FD=3; the token is gone from its environment), say `exited` when it has ended, stay until the runtime hangs
// up (it may want to read the control group's figures), end with PROGRAM's exit code (128 + signal). A hang-up before that kills everything at once.
//
// Whoever starts it need not be our executor: any orchestrator that mounts the socket and sets the two variables attaches a node in this way. Where
// it isn't process 1 it becomes the reaper of its children's children and kills PROGRAM's process group only.
//
// Invariants. After the start every message on the connection is PROGRAM's: init only watches for the hang-up and never reads again.
//             One thread, no allocation. Static: needs nothing of the image, and LD_PRELOAD in the node's environment doesn't concern it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kNodeFd = 3, kMessageBytes = 4096, kCannotRun = 127, kNoSession = 125 };

struct Text {
  char bytes[kMessageBytes];
  size_t size;
};

static void add(struct Text* text, const char* more) {
  while (*more && text->size + 1 < sizeof text->bytes) text->bytes[text->size++] = *more++;
  text->bytes[text->size] = 0;
}

static void add_number(struct Text* text, long number) {
  char digits[24];
  size_t at = sizeof digits - 1;
  digits[at] = 0;
  do digits[--at] = (char)('0' + number % 10);
  while (number /= 10);
  add(text, digits + at);
}

static void complain(const char* what, const char* which, int error) {
  struct Text line = {.size = 0};
  add(&line, "hawse-init: ");
  add(&line, what);
  if (which) {
    add(&line, " ");
    add(&line, which);
  }
  if (error) {
    add(&line, ": ");
    add(&line, strerror(error));
  }
  add(&line, "\n");
  if (write(STDERR_FILENO, line.bytes, line.size) < 0) return;
}

static _Noreturn void give_up(const char* what, const char* which, int error) {
  complain(what, which, error);
  _exit(kNoSession);
}

static int connect_to_runtime(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) give_up("HAWSE_SOCKET is too long:", path, 0);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) give_up("cannot make a socket", NULL, errno);
  if (connect(fd, (struct sockaddr*)&address, sizeof address) != 0) give_up("cannot connect to", path, errno);
  return fd;
}

static void send_text(int fd, const struct Text* text) {
  while (send(fd, text->bytes, text->size, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

static void say_join(int fd, const char* token) {
  for (const char* c = token; *c; ++c)
    if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ') give_up("HAWSE_TOKEN has characters that no token has", NULL, 0);
  struct Text join = {.size = 0};
  add(&join, "{\"type\":\"join\",\"token\":\"");
  add(&join, token);
  add(&join, "\",\"pid\":");
  add_number(&join, getpid());
  add(&join, ",\"init\":true}");
  send_text(fd, &join);
}

// The first message is `streams` with two descriptors; a runtime that doesn't know the token hangs up instead.
static void take_streams(int fd) {
  char text[kMessageBytes];
  char control[CMSG_SPACE(8 * sizeof(int))];
  struct iovec bytes = {text, sizeof text - 1};
  struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t size;
  while ((size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  if (size <= 0) give_up("the runtime refused the join", NULL, size < 0 ? errno : 0);
  text[size] = 0;
  struct cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (!strstr(text, "\"streams\"") || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !rights || rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len != CMSG_LEN(2 * sizeof(int)))
    give_up("the runtime did not send the streams", NULL, 0);
  int streams[2];
  memcpy(streams, CMSG_DATA(rights), sizeof streams);
  if (dup2(streams[0], STDOUT_FILENO) < 0 || dup2(streams[1], STDERR_FILENO) < 0) give_up("cannot take the streams", NULL, errno);
  for (int i = 0; i < 2; ++i)
    if (streams[i] > STDERR_FILENO) close(streams[i]);
}

static _Noreturn void become_program(int connection, const sigset_t* signals, char** argv) {
  setsid();
  if (getppid() != 1) prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigprocmask(SIG_SETMASK, signals, NULL);
  if (connection == kNodeFd) {
    fcntl(connection, F_SETFD, 0);
  } else {
    dup2(connection, kNodeFd);
  }
  unsetenv("HAWSE_TOKEN");
  unsetenv("HAWSE_SOCKET");
  setenv("HAWSE_FD", "3", 1);
  execvp(argv[0], argv);
  complain("cannot run", argv[0], errno);
  _exit(kCannotRun);
}

static void say_exited(int fd, int status) {
  struct Text exited = {.size = 0};
  add(&exited, "{\"type\":\"exited\",");
  add(&exited, WIFSIGNALED(status) ? "\"signal\":" : "\"code\":");
  add_number(&exited, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  add(&exited, "}");
  send_text(fd, &exited);
}

// Reaps all that has ended. True once the program itself has; `status` is its.
static int reap(pid_t program, int* status) {
  int ended = 0, one;
  for (pid_t pid; (pid = waitpid(-1, &one, WNOHANG)) > 0;)
    if (pid == program) {
      *status = one;
      ended = 1;
    }
  return ended;
}

static void kill_all(pid_t program) {
  if (getpid() == 1) {
    kill(-1, SIGKILL);
  } else {
    kill(-program, SIGKILL);
    kill(program, SIGKILL);
  }
}

// Until the runtime hangs up: reap, pass SIGTERM, SIGINT and SIGABRT on, tell of the program's end once.
static int watch(int connection, int signals, pid_t program) {
  int status = 0, ended = 0;
  struct pollfd watched[2] = {{.fd = connection, .events = POLLRDHUP}, {.fd = signals, .events = POLLIN}};
  for (;;) {
    if (poll(watched, 2, -1) < 0 && errno != EINTR) break;
    if (watched[1].revents & POLLIN) {
      struct signalfd_siginfo signal;
      if (read(signals, &signal, sizeof signal) == sizeof signal && signal.ssi_signo != SIGCHLD && !ended)
        kill(program, (int)signal.ssi_signo);
      if (!ended && reap(program, &status)) {
        ended = 1;
        say_exited(connection, status);
      } else if (ended) {
        reap(program, &(int){0});
      }
    }
    if (watched[0].revents) break;
  }
  kill_all(program);
  if (!ended) return 128 + SIGKILL;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char** argv) {
  const char* path = getenv("HAWSE_SOCKET");
  const char* token = getenv("HAWSE_TOKEN");
  if (argc < 2) give_up("usage: hawse-init PROGRAM [ARGUMENT...], with HAWSE_SOCKET and HAWSE_TOKEN set", NULL, 0);
  if (!path || !token) give_up("HAWSE_SOCKET and HAWSE_TOKEN must be set", NULL, 0);

  sigset_t caught, before;
  sigemptyset(&caught);
  sigaddset(&caught, SIGCHLD);
  sigaddset(&caught, SIGTERM);
  sigaddset(&caught, SIGINT);
  sigaddset(&caught, SIGABRT);
  sigprocmask(SIG_BLOCK, &caught, &before);
  if (getpid() != 1) prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_DUMPABLE, 0);  // the node has our user id, and must not reach our memory or token through /proc all the same
  int signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) give_up("cannot watch signals", NULL, errno);

  int connection = connect_to_runtime(path);
  say_join(connection, token);
  take_streams(connection);
  pid_t program = fork();
  if (program < 0) give_up("cannot start", argv[1], errno);
  if (program == 0) become_program(connection, &before, argv + 1);
  return watch(connection, signals, program);
}
