# SPDX-License-Identifier: Apache-2.0
#
#   make            builds: the command is then build/hawse
#   make demo       sets the machine up, builds, and turns speech into captions
#   make test       sets the machine up, builds, and runs every test
#   make peers      builds the other systems that `hawse bench --peers` measures beside ours
#   make install    PREFIX=/usr/local DESTDIR=
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)

.PHONY: all setup demo test peers check format lint asan tsan fuzz install clean
.DELETE_ON_ERROR:

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS)

# Later changes of CMake files are ninja's to see.
$(BUILD)/build.ninja:
	@for tool in cmake ninja g++ pkg-config; do \
	  command -v $$tool >/dev/null || { echo "make: $$tool is missing: run 'make setup' (as root or with sudo)"; exit 1; }; done
	cmake --preset release -B $(BUILD)

setup:
	@tools/setup

demo:
	@tools/demo

test:
	@tools/test

# ZeroMQ needs its headers, iceoryx2 a cargo that is new enough; what can't be built is missing in the benchmark, by name.
peers: all
	@ninja -C $(BUILD) -k 0 peers

check:
	@tools/check

format:
	git ls-files '*.cpp' '*.hpp' '*.c' '*.h' | xargs clang-format-14 -i



# Unit tests under the sanitizers, in build folders of their own.
asan tsan:
	@tools/test $@

# FUZZ_SECONDS a target.
fuzz:
	@tools/fuzz

install: all
	@ninja -C $(BUILD) -j $(JOBS) hawse_archive
	DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX) --strip

clean:
	rm -rf $(BUILD) build-*
