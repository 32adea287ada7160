# SPDX-License-Identifier: Apache-2.0
"""Tries every boundary from where an attacker would stand: inside a node. Prints what came of it, a JSON object a line."""
import errno
import glob
import json
import mmap
import os
import socket
import stat
import time

import hawse


def say(what, seen, refused):
    print(json.dumps({"what": what, "seen": seen, "refused": refused}), flush=True)


def attempt(what, action):
    """`action` gives what it got hold of; None means that there was nothing."""
    try:
        got = action()
    except OSError as error:
        return say(what, errno.errorcode.get(error.errno, str(error)), True)
    say(what, "nothing there" if got is None else got, got is None)


def status(name):
    with open("/proc/self/status") as lines:
        return next((line.split(":")[1].strip() for line in lines if line.startswith(name + ":")), "")


def read(path):
    with open(path) as file:
        return f"read {len(file.read())} bytes of it"


def written(path):
    with open(path, "w"):
        pass
    os.unlink(path)
    return "written"


def connected(kind, address):
    with socket.socket(kind, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        connection.connect(address)
    return "connected"


def made_device(path):
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(8, 1))
    os.unlink(path)
    return "made"


def other_nodes():
    """Not this one, and not the init of its own container, whose command names it."""
    for command in glob.glob("/proc/[0-9]*/cmdline"):
        pid = int(command.split("/")[2])
        try:
            with open(command) as file:
                if pid not in (os.getpid(), os.getppid()) and "hawse/_main.py" in file.read():
                    yield pid
        except OSError:
            pass


def read_memory(pid):
    with open(f"/proc/{pid}/maps") as maps:
        begin = next(int(line.split("-")[0], 16) for line in maps if " rw-p " in line)
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(begin)
        return f"read {len(memory.read(4096))} bytes of process {pid}"


def arenas():
    """Where the frames of others are mapped: (begin, end, name in /proc/self/map_files)."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            if "/memfd:" in line and "arena" in line:
                begin, end = (int(each, 16) for each in line.split()[0].split("-"))
                yield begin, end, line.split()[0]


def made_writable(begin, end):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.PROT_READ | mmap.PROT_WRITE) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    return "the mapping is writable"


def opened_again(name, use):
    descriptor = os.open("/proc/self/map_files/" + name, os.O_RDWR)
    try:
        return use(descriptor)
    finally:
        os.close(descriptor)


def forks(most):
    children = []
    try:
        while len(children) < most:
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            children.append(child)
        return f"{most} processes, no limit met"
    except OSError as error:
        raise OSError(error.errno, f"at {len(children)}") from None
    finally:
        for child in children:
            os.kill(child, 9)
            os.waitpid(child, 0)


class Neighbour(hawse.Node):
    def process(self, tensor: hawse.Tensor) -> None:
        time.sleep(1)  # there to be looked at


class Probe(hawse.Node):
    def setup(self, shm: str, temporary: str, port: int, engine: str = "") -> None:
        self.shm, self.temporary, self.port, self.engine = shm, temporary, port, engine

    def process(self, tensor: hawse.Tensor) -> None:
        time.sleep(0.2)  # until the neighbour is at work
        attempt("read a file in the host's /dev/shm", lambda: read(self.shm))
        attempt("read a file in the host's folder for temporary files", lambda: read(self.temporary))
        attempt("read /etc/shadow", lambda: read("/etc/shadow"))
        attempt("see another node's process", lambda: next((f"process {pid}" for pid in other_nodes()), None))
        attempt("read another node's memory", lambda: next((read_memory(pid) for pid in other_nodes()), None))
        attempt("connect to the host's loopback", lambda: connected(socket.AF_INET, ("127.0.0.1", self.port)))
        if self.engine:
            attempt("connect to the container engine", lambda: connected(socket.AF_UNIX, self.engine))
        attempt("write to the root", lambda: written("/hawse-bench-probe"))
        attempt("make a device", lambda: made_device("/tmp/hawse-bench-device"))
        attempt("become root", lambda: os.setuid(0) or "uid 0")
        say("hold a capability", status("CapEff"), int(status("CapEff"), 16) == 0)
        say("gain privileges by a program", f"NoNewPrivs {status('NoNewPrivs')}", status("NoNewPrivs") == "1")
        say("make any system call", f"Seccomp {status('Seccomp')}", status("Seccomp") == "2")
        attempt("start processes without end", lambda: forks(64))
        for begin, end, name in list(arenas())[:1]:
            attempt("input arena: make the mapping writable", lambda: made_writable(begin, end))
            attempt("input arena: open again and write", lambda: opened_again(name, lambda fd: f"{os.pwrite(fd, b'x', 0)} byte written"))
            attempt("input arena: open again and map writable", lambda: opened_again(name, lambda fd: mmap.mmap(fd, 0) and "mapped"))
            attempt("input arena: open again and cut off", lambda: opened_again(name, lambda fd: os.ftruncate(fd, 0) or "cut"))
