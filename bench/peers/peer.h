/* SPDX-License-Identifier: Apache-2.0
 *
 * What a transport is to the benchmark: two ends in two processes that hand payloads to each other. Every transport, ours and the peers', stands behind this
 * one C interface, and the same loops (loops.cpp) drive them all by the same clock.
 *
 * Order of calls.  open at both ends at the same time (they may talk over setup.socket until it returns, not later); then loan -> send and
 *                  receive -> release as often as wanted; close at both ends. An end has at most one payload loaned and one received at a time, but it may loan
 *                  and send while it holds a received one, as a node does that answers.
 * Waiting.         send waits for room and receive for a payload, as setup.wait says: polling spins, sleeping leaves the core, adaptive
 *                  looks for a while where that mostly pays, then sleeps. No payload is ever lost.
 * Errors.          A call that fails says why in setup.error and gives null or -1; after that only close is allowed.
 * Threading.       One thread an end.
 * Cleaning up.     Files and sockets lie in setup.folder; names elsewhere (/dev/shm) begin with the folder's last name. Both are removed after the ends, however they end.
 *
 * A plug-in is a shared library that exports hawse_peer_api(). Built-in transports give the same structure.
 */
#ifndef HAWSE_BENCH_PEER_H
#define HAWSE_BENCH_PEER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HAWSE_PEER_ABI 1u

enum { HAWSE_PEER_POLLING = 1, HAWSE_PEER_SLEEPING = 2, HAWSE_PEER_ADAPTIVE = 4 };

struct hawse_peer; /* one end; opaque */

struct hawse_peer_setup {
  int32_t socket;     /* a connected SOCK_SEQPACKET to the other end; stays the caller's */
  int32_t end;        /* 0 or 1 */
  int32_t wait;       /* HAWSE_PEER_... */
  uint32_t readers;   /* of what end 0 sends: end 1 receives each payload that often, one reader after the other. What end 1 sends has one. */
  uint32_t depth;     /* payloads that may be sent and not yet received, in each direction */
  uint64_t bytes_out; /* the largest payload that this end sends */
  uint64_t bytes_in;  /* the largest that it receives */
  const char* folder; /* empty, of this pair's own, the same for both */
  char* error;        /* lives longer than the end */
  uint64_t error_bytes;
  int64_t spin_ns;    /* adaptive: how long it may look before it sleeps */
};

struct hawse_transport {
  uint32_t abi; /* HAWSE_PEER_ABI */
  uint32_t waits;       /* the ways of waiting that it knows, or-ed */
  uint32_t max_readers;
  uint32_t copies;      /* how often a payload is copied between the memory that loan gave and the memory that receive gives */
  uint64_t max_bytes;
  const char* name;
  const char* (*version)(void);
  struct hawse_peer* (*open)(const struct hawse_peer_setup*);
  void* (*loan)(struct hawse_peer*, uint64_t bytes);                                  /* memory for one payload, to be written in place; at least 8-byte aligned */
  int32_t (*send)(struct hawse_peer*, uint64_t bytes);                                /* the loaned one; bytes as loaned */
  int32_t (*receive)(struct hawse_peer*, const void** payload, uint64_t* bytes);
  void (*release)(struct hawse_peer*);                                                /* the received one */
  void (*close)(struct hawse_peer*);
};

const struct hawse_transport* hawse_peer_api(void);

#ifdef __cplusplus
}
#endif
#endif
