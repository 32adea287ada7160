/* SPDX-License-Identifier: Apache-2.0
 *
 * Write a node in C, or in any language that can call C: libhawse_node.so. docs/c.md has a whole node to copy.
 *
 * Order.      hawse_node_join(), parameters, hawse_node_ready(), then hawse_node_next() again and again until HAWSE_EVENT_ENDED or
 *             HAWSE_EVENT_HANDED_OVER, hawse_node_finish(), hawse_node_leave().
 * Handles.    Nodes and frames are numbers. 0 is none, and none is given out twice: one that is used after its end, twice, or as another kind is
 *             HAWSE_ERROR_HANDLE and touches nothing. Only the pointers that hawse_frame_data() and hawse_out_data() give can dangle.
 * Errors.     A function that returns int gives HAWSE_OK (0), or 1 or 0 where it answers yes or no; what is negative is a hawse_error, and
 *             hawse_last_error() tells it in words. An output parameter is written on success only, unless it says otherwise. No C++ exception comes out.
 * Threads.    One node a process. Its functions are called by one thread at a time, whichever; a call while another is in one is
 *             HAWSE_ERROR_THREAD. Any thread, until hawse_node_leave() begins: hawse_node_log(), hawse_node_alive(). Any thread at any time: what
 *             begins with hawse_frame_, but one frame isn't read while it is released. The library has one thread of its own, which runs no code of
 *             yours. After fork() the child must not use it.
 * Strings.    UTF-8. Those that go in end with a NUL, or come with a length; they are copied. Those that come out are the library's, end with a NUL,
 *             and live until hawse_node_leave(), unless it says otherwise.
 * Signals.    A runtime that is gone ends the process at once with exit code 1, whatever it is doing.
 * Growth.     The major version is that of the library's name (libhawse_node.so.1): with the same one, what was built keeps working. A minor version adds
 *             functions, codes, kinds, and fields at the end of structs: pass sizeof of yours. What you don't know is to be passed over.
 *
 * C11, or C++. Units stand in the names: _ns is nanoseconds, bytes are bytes. */
#ifndef HAWSE_NODE_H
#define HAWSE_NODE_H

#include <stddef.h>
#include <stdint.h>

#define HAWSE_ABI_MAJOR 1
#define HAWSE_ABI_MINOR 0
#define HAWSE_ABI_VERSION ((uint32_t)(HAWSE_ABI_MAJOR << 16 | HAWSE_ABI_MINOR))

#define HAWSE_MAX_RANK 8
#define HAWSE_NO_TIMESTAMP INT64_MIN /* as sent: that of the frame in hand; a source's is the clock (CLOCK_REALTIME) */

#define HAWSE_API __attribute__((visibility("default")))

/* Puts a signature where `hawse check` reads it without running the program, and names it `hawse_signature`. It is JSON, written as it is:
 *   HAWSE_SIGNATURE({"inputs": {"audio": "audio"}, "outputs": {"out": "audio"}, "params": {"gain": {"type": "float", "default": 1}}}) */
#define HAWSE_SIGNATURE(...) __attribute__((section(".hawse"), used)) static const char hawse_signature[] = #__VA_ARGS__;

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t hawse_node;
typedef uint64_t hawse_frame; /* a received frame: on loan, read-only */
typedef uint64_t hawse_out;   /* a frame under construction */

typedef enum hawse_error {
  HAWSE_OK = 0,
  HAWSE_ERROR_INVALID = -1,     /* an argument: NULL, out of range, a shape that doesn't fit */
  HAWSE_ERROR_HANDLE = -2,      /* no handle, one whose time is over, or of another kind */
  HAWSE_ERROR_ORDER = -3,       /* not now: before ready, after the end */
  HAWSE_ERROR_THREAD = -4,      /* another thread is in a call */
  HAWSE_ERROR_PORT = -5,        /* a port that the signature doesn't have */
  HAWSE_ERROR_TYPE = -6,        /* a frame of a type that the port doesn't carry */
  HAWSE_ERROR_PARAM = -7,       /* a parameter that is missing or of another type */
  HAWSE_ERROR_MEMORY = -8,      /* no room: the limit of the node's frames (limits: {arena: ...}), or the process has none */
  HAWSE_ERROR_NOT_STARTED = -9, /* the program wasn't started by the runtime */
  HAWSE_ERROR_STOPPED = -10,    /* the runtime is gone, or going: end */
  HAWSE_ERROR_SYSTEM = -11      /* the system or the runtime refused, or an error of the library itself */
} hawse_error;

typedef enum hawse_type {
  HAWSE_NONE = 0, HAWSE_AUDIO = 1, HAWSE_VIDEO = 2, HAWSE_IMAGE = 3, HAWSE_TENSOR = 4, HAWSE_TEXT = 5, HAWSE_JSON = 6, HAWSE_BYTES = 7
} hawse_type;

typedef enum hawse_dtype {
  HAWSE_NO_DTYPE = 0, HAWSE_BOOL = 1, HAWSE_INT8 = 2, HAWSE_UINT8 = 3, HAWSE_INT16 = 4, HAWSE_UINT16 = 5, HAWSE_INT32 = 6, HAWSE_UINT32 = 7,
  HAWSE_INT64 = 8, HAWSE_UINT64 = 9, HAWSE_FLOAT16 = 10, HAWSE_FLOAT32 = 11, HAWSE_FLOAT64 = 12, HAWSE_BFLOAT16 = 13, HAWSE_COMPLEX64 = 14,
  HAWSE_COMPLEX128 = 15
} hawse_dtype;

typedef enum hawse_pixels {
  HAWSE_NO_PIXELS = 0, HAWSE_RGB24 = 1, HAWSE_BGR24 = 2, HAWSE_RGBA = 3, HAWSE_BGRA = 4, HAWSE_GRAY8 = 5, HAWSE_YUV420P = 6
} hawse_pixels;

typedef enum hawse_level { HAWSE_LOG_DEBUG = 0, HAWSE_LOG_INFO = 1, HAWSE_LOG_WARNING = 2, HAWSE_LOG_ERROR = 3 } hawse_level;

/* What a frame is, beside its payload. */
typedef struct hawse_info {
  uint32_t type;                   /* hawse_type */
  uint32_t dtype;                  /* hawse_dtype of an element; HAWSE_NO_DTYPE: bytes */
  uint32_t pixels;                 /* hawse_pixels of video and images */
  uint32_t rank;                   /* how much of shape and strides counts, at most HAWSE_MAX_RANK */
  uint64_t shape[HAWSE_MAX_RANK];  /* audio: samples, channels. video, image: height, width, channels. tensor: its own. yuv420p: height * 3 / 2,
                                      width, 1 (Y, then U, then V). Text, JSON and bytes: rank 0 */
  int64_t strides[HAWSE_MAX_RANK]; /* bytes from one element of that axis to the next: C order, without gaps. Not read by hawse_out_set_info() */
  int64_t timestamp_ns;            /* of the first sample: media time, or since 1970 */
  int64_t duration_ns;             /* 0: not known */
  uint32_t rate_numerator;         /* audio: samples a second; video: frames a second. 0: none */
  uint32_t rate_denominator;
  uint64_t trace_id;               /* of what the frame was made from; sent as 0: that of the frame in hand, a source's is new for each */
  uint64_t sequence;               /* of the output that sent it, from 1. Not read by hawse_out_set_info() */
  uint32_t given_again;            /* 1: the node that had this frame before died with it. Not read by hawse_out_set_info() */
  uint32_t reserved;               /* 0 */
} hawse_info;

typedef enum hawse_event_kind {
  HAWSE_EVENT_TIMED_OUT = 0,
  HAWSE_EVENT_FRAME = 1,       /* `frame` came into `port` */
  HAWSE_EVENT_MATCHED = 2,     /* `set`: one frame of every connected input (inputs: {match: timestamp}); the signature says "matched": true */
  HAWSE_EVENT_PRODUCE = 3,     /* a node without connected inputs: its turn to send something. To end by itself it goes on to hawse_node_finish() */
  HAWSE_EVENT_FLUSHED = 4,     /* a flush came into `port`: drop what you hold of it. The next hawse_node_next() passes it on to all outputs,
                                  unless hawse_node_keep_flush() was called */
  HAWSE_EVENT_INPUT_ENDED = 5, /* all edges into `port` have ended */
  HAWSE_EVENT_ENDED = 6,       /* no more: every input has ended; a source was asked to stop, or nobody reads it any more. Send what is left, then finish */
  HAWSE_EVENT_HANDED_OVER = 7  /* a replacement goes on: send nothing, finish */
} hawse_event_kind;

typedef struct hawse_input {
  const char* port;
  hawse_frame frame; /* yours: release it */
} hawse_input;

typedef struct hawse_event {
  uint32_t kind;          /* hawse_event_kind */
  uint32_t set_count;     /* HAWSE_EVENT_MATCHED */
  const char* port;       /* NULL where there is none */
  hawse_frame frame;      /* yours: release it. 0 where there is none */
  const hawse_input* set; /* until the next hawse_node_next(); NULL where there is none */
} hawse_event;

/* ---- the library ---- */

/* HAWSE_ABI_VERSION of the library that runs. Who loads it by dlopen() compares the upper 16 bits with HAWSE_ABI_MAJOR; the lower must be at least
 * HAWSE_ABI_MINOR. */
HAWSE_API uint32_t hawse_abi_version(void);
/* "0.1.0", of Hawsepipe. Lives for ever. */
HAWSE_API const char* hawse_version(void);
/* What the last call of this thread that failed has to say: what, where, why. "" before one. Until the next one that fails in this thread. */
HAWSE_API const char* hawse_last_error(void);
/* "HAWSE_ERROR_PORT" and so on; "" of a number that is none. Lives for ever. */
HAWSE_API const char* hawse_error_name(int code);
/* Bytes of one element; 0 of HAWSE_NO_DTYPE and of a number that is none. */
HAWSE_API size_t hawse_dtype_bytes(uint32_t dtype);

/* ---- a node's life ---- */

/* Joins the run that has started this program, and waits until its links are there. `signature`: JSON as docs/cpp.md has it, mostly hawse_signature;
 * its ports and types are what later calls are held to, its params give the defaults. `language`: what tables show, "c" where it is NULL, at most 64 bytes.
 * Once a process. Once it has joined, what fails here is told to the run, too. */
HAWSE_API int hawse_node_join(const char* signature, const char* language, hawse_node* node);
/* Whatever takes long at first is done (models, devices). Waits until every node of the run is that far: then frames flow. */
HAWSE_API int hawse_node_ready(hawse_node node);
/* The next event, waited for at most timeout_ns (negative: for as long as it takes). `size`: sizeof(hawse_event).
 * Frames of several edges come in turn, those of one in order. Until the next call the frame of the event is the one in hand: what is sent takes its
 * timestamp and its trace, and should the node fail or die it is given to its replacement, also when it was released. */
HAWSE_API int hawse_node_next(hawse_node node, int64_t timeout_ns, hawse_event* event, size_t size);
/* Ends the outputs, and waits until their readers have done with what was sent. After it: hawse_node_leave(), and exit with 0. */
HAWSE_API int hawse_node_finish(hawse_node node);
/* Reports a failure to the run: `summary` is one line, `details` (may be NULL) a traceback or the like. What the node holds is kept for its replacement.
 * After it: hawse_node_leave(), and exit with 1. */
HAWSE_API int hawse_node_fail(hawse_node node, const char* summary, const char* details);
/* Closes the connection; strings and the node's handle are no more. Received frames may still be read and released. Without hawse_node_finish() or
 * hawse_node_fail() before it, the run takes the node for crashed. */
HAWSE_API int hawse_node_leave(hawse_node node);

/* ---- what a node asks and says ---- */

/* Its name in the manifest; NULL on an error. */
HAWSE_API const char* hawse_node_id(hawse_node node);
/* 1: an edge uses that port. Frames on an output that none uses are accepted and dropped. */
HAWSE_API int hawse_node_has_input(hawse_node node, const char* port);
HAWSE_API int hawse_node_has_output(hawse_node node, const char* port);
/* 1: some edge still reads this output. */
HAWSE_API int hawse_node_is_read(hawse_node node, const char* port);
/* 1: asked to end. Work that takes long should look now and then. */
HAWSE_API int hawse_node_stopping(hawse_node node);
/* 1: a flush waits. What is in hand is void, and what is sent now is given up: go on to hawse_node_next(). */
HAWSE_API int hawse_node_interrupted(hawse_node node);
/* 1: it is that late (CLOCK_MONOTONIC); 0: asked to end before. For sources with a rate. */
HAWSE_API int hawse_node_sleep_until(hawse_node node, int64_t monotonic_ns);
/* A line in the run's log; `level` is a hawse_level. Any thread. */
HAWSE_API int hawse_node_log(hawse_node node, uint32_t level, const char* text);
/* A progress bar: `total` 0 where it isn't known; `unit` such as "B". */
HAWSE_API int hawse_node_progress(hawse_node node, const char* what, uint64_t done, uint64_t total, const char* unit);
/* A sign of life in work that takes long: hang_timeout begins anew. Any thread. */
HAWSE_API int hawse_node_alive(hawse_node node);

/* ---- parameters, checked against the signature, defaults filled in ----
 * A name with dots leads into nested mappings: "audio.rate". Missing or of another type: HAWSE_ERROR_PARAM. */

HAWSE_API int hawse_param_has(hawse_node node, const char* name);
HAWSE_API int hawse_param_bool(hawse_node node, const char* name, int* value); /* 1 or 0 */
HAWSE_API int hawse_param_int(hawse_node node, const char* name, int64_t* value);
HAWSE_API int hawse_param_float(hawse_node node, const char* name, double* value); /* a whole number, too */
HAWSE_API int hawse_param_text(hawse_node node, const char* name, const char** value);
HAWSE_API int hawse_param_bytes(hawse_node node, const char* name, uint64_t* bytes);     /* "4 MiB", or a number */
HAWSE_API int hawse_param_duration(hawse_node node, const char* name, int64_t* value_ns); /* "20ms", or a number of seconds */
/* Anything, as JSON text; "null" where it is missing. `name` NULL: all of them, an object. */
HAWSE_API int hawse_param_json(hawse_node node, const char* name, const char** value);

/* ---- a received frame. Any thread ---- */

/* `size`: sizeof(hawse_info). */
HAWSE_API int hawse_frame_info(hawse_frame frame, hawse_info* info, size_t size);
/* The payload where it lies, in memory that is read-only: writing to it ends the process. Aligned to 16 bytes. Until hawse_frame_release().
 * Text and JSON are UTF-8 without a NUL. */
HAWSE_API int hawse_frame_data(hawse_frame frame, const void** data, size_t* bytes);
/* Gives it back: the sender's memory is free again. While it is kept, that memory grows up to its limit, then the sender waits. */
HAWSE_API int hawse_frame_release(hawse_frame frame);

/* ---- a frame to send ----
 * Allocated in the output's shared memory, not cleared: fill hawse_out_data(), then send. Each waits for room where a `block` edge is full, and may give
 * HAWSE_ERROR_MEMORY; HAWSE_ERROR_INVALID above 4 GiB - 4096 bytes. */

HAWSE_API int hawse_out_audio(hawse_node node, const char* port, uint64_t samples, uint64_t channels, uint32_t rate, uint32_t dtype, hawse_out* out);
HAWSE_API int hawse_out_video(hawse_node node, const char* port, uint64_t height, uint64_t width, uint32_t pixels, uint32_t rate_numerator,
                              uint32_t rate_denominator, hawse_out* out); /* uint8; yuv420p: even sides */
HAWSE_API int hawse_out_image(hawse_node node, const char* port, uint64_t height, uint64_t width, uint32_t pixels, hawse_out* out);
HAWSE_API int hawse_out_tensor(hawse_node node, const char* port, const uint64_t* shape, size_t rank, uint32_t dtype, hawse_out* out);
HAWSE_API int hawse_out_text(hawse_node node, const char* port, const char* utf8, size_t bytes, hawse_out* out); /* filled in */
HAWSE_API int hawse_out_json(hawse_node node, const char* port, const char* utf8, size_t bytes, hawse_out* out); /* filled in, not checked */
HAWSE_API int hawse_out_bytes(hawse_node node, const char* port, size_t bytes, hawse_out* out);
/* As `frame` is: type, shape, times, trace, size. */
HAWSE_API int hawse_out_like(hawse_node node, const char* port, hawse_frame frame, hawse_out* out);
/* To write to, aligned to 16 bytes. Until hawse_out_send() or hawse_out_discard(). */
HAWSE_API int hawse_out_data(hawse_out out, void** data, size_t* bytes);
/* `size`: sizeof(hawse_info). `sequence` is the number that it gets if it is the next one sent. */
HAWSE_API int hawse_out_info(hawse_out out, hawse_info* info, size_t size);
/* Says something else of it: mostly timestamp_ns and duration_ns, read with hawse_out_info() before. */
HAWSE_API int hawse_out_set_info(hawse_out out, const hawse_info* info, size_t size);
/* How much of it is payload: less than before only. The shape stays. */
HAWSE_API int hawse_out_resize(hawse_out out, size_t bytes);
/* Hands it over, without a copy; waits where a `block` edge is full. The handle is no more, whatever this returns. */
HAWSE_API int hawse_out_send(hawse_out out);
/* Gives its memory back unsent. */
HAWSE_API int hawse_out_discard(hawse_out out);
/* Sends a received frame on, times and trace included: one copy, and counted as one. It stays yours. */
HAWSE_API int hawse_node_forward(hawse_node node, const char* port, hawse_frame frame);

/* ---- flush: cut short ---- */

/* Overtakes what was sent on this output: what its readers haven't taken yet is void, and HAWSE_EVENT_FLUSHED is what each gets next. */
HAWSE_API int hawse_node_flush(hawse_node node, const char* port);
/* After HAWSE_EVENT_FLUSHED: this flush ends here. */
HAWSE_API int hawse_node_keep_flush(hawse_node node);

#ifdef __cplusplus
}
#endif
#endif
