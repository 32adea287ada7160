/* SPDX-License-Identifier: Apache-2.0
 *
 * A node in C for the tests; its `mode` says what it is:
 *   source    sends `count` frames of all types, each with contents that follow from its number
 *   pass      sends on what it gets: a new frame of the same kind, each byte copied
 *   sink      holds every frame against what the source must have sent, byte for byte
 *   errors    does everything wrong once, and logs each code with its message
 *   fail      fails on the third frame
 *   matched   logs the sets it gets
 *   flood     sends `count` frames of 64 bytes as fast as the edge takes them
 *   count     logs how many frames came, and how long one took from the first to the last
 *   threads   waits in one thread, and does there in another what may be done there, and what may not
 *   cost      takes them in runs of 64 that lie ready, or sends them so without inputs, and logs the least time that one took */
#define _POSIX_C_SOURCE 199309L /* clock_gettime(), nanosleep() */
#include <hawse/node.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

HAWSE_SIGNATURE({"doc": "A node in C for the tests.", "matched": true, "inputs": {"in": "any?", "left": "any?", "right": "any?"},
                 "outputs": {"out": "any", "words": "text|json"},
                 "params": {"mode": {"type": "str", "required": true}, "count": {"type": "int", "default": 100}, "gain": {"type": "float", "default": 0.5},
                            "size": {"type": "size", "default": "4 KiB"}, "every": {"type": "duration", "default": "20ms"}, "loud": {"type": "bool", "default": true},
                            "nested": {"type": "dict", "default": {"rate": 48000}}}})

static hawse_node node;

static int give_up(const char* what) {
  char text[2200];
  snprintf(text, sizeof text, "%s: %s", what, hawse_last_error());
  fprintf(stderr, "%s\n", text);
  hawse_node_fail(node, text, NULL);
  hawse_node_leave(node);
  return 1;
}

static void say(const char* text) { hawse_node_log(node, HAWSE_LOG_INFO, text); }

static void say_error(const char* what, int code) {
  char text[2200];
  snprintf(text, sizeof text, "%s: %s: %s", what, hawse_error_name(code), code < 0 ? hawse_last_error() : "");
  say(text);
}

/* ---- what frame number n is ---- */

static size_t size_of(uint64_t n) { return n % 9 == 0 ? 0 : (size_t)(n * n * 37 % 300000 / 4 * 4 + 4); }

static unsigned char byte_of(uint64_t n, size_t i) { return (unsigned char)(n * 31 + i * 7 + i / 251); }

static void fill(uint64_t n, unsigned char* data, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) data[i] = byte_of(n, i);
}

static int make(uint64_t n, hawse_out* out) {
  static char text[300004];
  const size_t bytes = size_of(n);
  const uint64_t shape[3] = {bytes / 4, 2, 2};
  switch (n % 7) {
    case 0: return hawse_out_tensor(node, "out", shape, 3, HAWSE_UINT8, out);
    case 1: return hawse_out_audio(node, "out", bytes / 4, 2, 16000, HAWSE_INT16, out);
    case 2: return hawse_out_image(node, "out", bytes / 4, 1, HAWSE_RGBA, out);
    case 3: return hawse_out_video(node, "out", bytes / 4, 4, HAWSE_GRAY8, 30000, 1001, out);
    case 4:
    case 5:
      fill(n, (unsigned char*)text, bytes);
      return n % 7 == 4 ? hawse_out_text(node, "out", text, bytes, out) : hawse_out_json(node, "out", text, bytes, out);
    default: return hawse_out_bytes(node, "out", bytes, out);
  }
}

static int is_right(uint64_t n, const hawse_info* info, const unsigned char* data, size_t bytes) {
  static const uint32_t types[7] = {HAWSE_TENSOR, HAWSE_AUDIO, HAWSE_IMAGE, HAWSE_VIDEO, HAWSE_TEXT, HAWSE_JSON, HAWSE_BYTES};
  static const uint32_t dtypes[7] = {HAWSE_UINT8, HAWSE_INT16, HAWSE_UINT8, HAWSE_UINT8, HAWSE_NO_DTYPE, HAWSE_NO_DTYPE, HAWSE_NO_DTYPE};
  static const uint32_t ranks[7] = {3, 2, 3, 3, 0, 0, 0};
  int64_t stride = (int64_t)hawse_dtype_bytes(info->dtype);
  if (bytes != size_of(n) || info->sequence != n || info->type != types[n % 7] || info->dtype != dtypes[n % 7] || info->rank != ranks[n % 7]) return 0;
  if (info->timestamp_ns != (int64_t)n * 1000 || info->given_again != 0 || info->trace_id == 0) return 0;
  if (info->rank > 0 && info->shape[0] != bytes / 4) return 0;
  for (uint32_t axis = info->rank; axis-- > 0; stride *= (int64_t)info->shape[axis])
    if (info->strides[axis] != stride) return 0;
  if (info->rank > 0 && stride != (int64_t)bytes) return 0;
  if (n % 7 == 1 && (info->rate_numerator != 16000 || info->shape[1] != 2)) return 0;
  if (n % 7 == 2 && info->pixels != HAWSE_RGBA) return 0;
  if (n % 7 == 3 && (info->rate_numerator != 30000 || info->rate_denominator != 1001 || info->duration_ns != 33366666)) return 0;
  for (size_t i = 0; i < bytes; ++i)
    if (data[i] != byte_of(n, i)) return 0;
  return 1;
}

/* ---- what it does with an event; 0: right ---- */

static int source(uint64_t n) {
  hawse_out out;
  hawse_info info;
  void* data;
  size_t bytes;
  if (make(n, &out) != HAWSE_OK || hawse_out_info(out, &info, sizeof info) != HAWSE_OK || hawse_out_data(out, &data, &bytes) != HAWSE_OK) return 1;
  fill(n, data, bytes);
  info.timestamp_ns = (int64_t)n * 1000;
  if (hawse_out_set_info(out, &info, sizeof info) != HAWSE_OK) return 1;
  return hawse_out_send(out) != HAWSE_OK;
}

static int pass(hawse_frame frame) {
  hawse_out out;
  const void* from;
  void* to;
  size_t bytes, room;
  if (hawse_out_like(node, "out", frame, &out) != HAWSE_OK || hawse_frame_data(frame, &from, &bytes) != HAWSE_OK || hawse_out_data(out, &to, &room) != HAWSE_OK) return 1;
  if (room != bytes) return 1;
  if (bytes > 0) memcpy(to, from, bytes);
  return hawse_out_send(out) != HAWSE_OK || hawse_frame_release(frame) != HAWSE_OK;
}

static int sink(hawse_frame frame, uint64_t n) {
  hawse_info info;
  const void* data;
  size_t bytes;
  if (hawse_frame_info(frame, &info, sizeof info) != HAWSE_OK || hawse_frame_data(frame, &data, &bytes) != HAWSE_OK) return 1;
  if (!is_right(n, &info, data, bytes)) return 1;
  return hawse_frame_release(frame) != HAWSE_OK;
}

static int flood(void) {
  hawse_out out;
  if (hawse_out_audio(node, "out", 16, 1, 16000, HAWSE_FLOAT32, &out) != HAWSE_OK) return 1;
  return hawse_out_send(out) != HAWSE_OK;
}

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* As CostOfCpp in c_api_test.cpp. */
static double least_ns = 1e9;

static void note_cost(uint64_t n) {
  static double begin_ns;
  const struct timespec while_it_fills = {0, 2000000};
  if (n % 64 == 0 && (now_ns() - begin_ns) / 63 < least_ns) least_ns = (now_ns() - begin_ns) / 63;
  if (n % 64 != 1) return;
  nanosleep(&while_it_fills, NULL);
  begin_ns = now_ns();
}

static int matched(const hawse_event* event) {
  char text[256] = "set";
  for (uint32_t i = 0; i < event->set_count; ++i) {
    hawse_info info;
    if (hawse_frame_info(event->set[i].frame, &info, sizeof info) != HAWSE_OK) return 1;
    snprintf(text + strlen(text), sizeof text - strlen(text), " %s %lld", event->set[i].port, (long long)info.timestamp_ns);
    if (hawse_frame_release(event->set[i].frame) != HAWSE_OK) return 1;
  }
  say(text);
  return 0;
}

/* ---- everything wrong, once ---- */

static void wrong_before_ready(void) {
  hawse_event event;
  hawse_out out = 0;
  int64_t number = 0;
  const char* text = "";
  say_error("next before ready", hawse_node_next(node, 0, &event, sizeof event));
  say_error("allocate before ready", hawse_out_bytes(node, "out", 1, &out));
  say_error("finish before ready", hawse_node_finish(node));
  say_error("parameter of another type", hawse_param_int(node, "mode", &number));
  say_error("parameter that is missing", hawse_param_text(node, "none", &text));
  say_error("parameter within a number", hawse_param_int(node, "count.of", &number));
  say_error("parameter without a place", hawse_param_int(node, "count", NULL));
  say_error("joined twice", hawse_node_join(hawse_signature, NULL, &(hawse_node){0}));
}

static void wrong_frame(hawse_frame frame) {
  const uint64_t huge[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX}, large[1] = {1u << 30};
  hawse_event event;
  hawse_info info, longer;
  hawse_out out = 0;
  const void* data;
  void* to;
  size_t bytes;
  say_error("ready twice", hawse_node_ready(node));
  say_error("a struct that is too small", hawse_node_next(node, 0, &event, sizeof event - 1));
  say_error("info without a place", hawse_frame_info(frame, NULL, sizeof info));
  say_error("the node as a frame", hawse_frame_info(node, &info, sizeof info));
  say_error("0 as a frame", hawse_frame_data(0, &data, &bytes));
  say_error("nonsense as a frame", hawse_frame_data(UINT64_MAX, &data, &bytes));
  say_error("a frame as the node", hawse_node_stopping(frame));
  say_error("output that isn't declared", hawse_out_bytes(node, "nowhere", 1, &out));
  say_error("input that isn't declared", hawse_node_has_input(node, "nowhere"));
  say_error("output without a name", hawse_out_bytes(node, NULL, 1, &out));
  say_error("allocate another type", hawse_out_bytes(node, "words", 1, &out));
  say_error("forward another type", hawse_node_forward(node, "words", frame));
  say_error("flush of what isn't declared", hawse_node_flush(node, "nowhere"));
  say_error("keep no flush", hawse_node_keep_flush(node));
  say_error("allocate too much", hawse_out_bytes(node, "out", SIZE_MAX, &out));
  say_error("allocate a shape that overflows", hawse_out_tensor(node, "out", huge, 3, HAWSE_FLOAT64, &out));
  say_error("allocate beyond the limit", hawse_out_tensor(node, "out", large, 1, HAWSE_UINT8, &out));
  say_error("allocate too many axes", hawse_out_tensor(node, "out", huge, 9, HAWSE_FLOAT64, &out));
  say_error("allocate no dtype", hawse_out_tensor(node, "out", large, 1, 99, &out));
  say_error("allocate no pixels", hawse_out_image(node, "out", 2, 2, HAWSE_NO_PIXELS, &out));
  say_error("allocate odd yuv420p", hawse_out_image(node, "out", 3, 3, HAWSE_YUV420P, &out));
  say_error("text without text", hawse_out_text(node, "words", NULL, 5, &out));
  say_error("log without a level", hawse_node_log(node, 4, "x"));

  say_error("allocate", hawse_out_text(node, "words", "hello", 5, &out));
  say_error("grow a frame", hawse_out_resize(out, 6));
  say_error("a frame to send as a received one", hawse_frame_release(out));
  hawse_out_info(out, &info, sizeof info);
  info.type = 42;
  say_error("no such type", hawse_out_set_info(out, &info, sizeof info));
  info.type = HAWSE_TENSOR;
  say_error("another type, as yet only said", hawse_out_set_info(out, &info, sizeof info));
  say_error("send another type", hawse_out_send(out));
  say_error("send again", hawse_out_send(out));
  say_error("write after sending", hawse_out_data(out, &to, &bytes));

  hawse_out_bytes(node, "out", 16, &out);
  hawse_out_info(out, &info, sizeof info);
  info.type = HAWSE_TENSOR;
  info.dtype = HAWSE_FLOAT32;
  info.rank = 1;
  info.shape[0] = 5;
  say_error("a shape that doesn't fit, as yet only said", hawse_out_set_info(out, &info, sizeof info));
  say_error("send a shape that doesn't fit", hawse_out_send(out));
  hawse_out_bytes(node, "out", 16, &out);
  say_error("discard", hawse_out_discard(out));
  say_error("discard again", hawse_out_discard(out));

  memset(&longer, 0xff, sizeof longer);
  say_error("release", hawse_frame_release(frame));
  say_error("release again", hawse_frame_release(frame));
  say_error("read after the release", hawse_frame_info(frame, &info, sizeof info));
}

static void* in_another_thread(void* unused) {
  int code = HAWSE_OK;
  while (code >= 0) code = hawse_node_is_read(node, "out"); /* until the other one is in hawse_node_next() */
  say_error("a call while another thread is in one", code);
  return unused;
}

static void* release_elsewhere(void* frame) {
  say_error("release in another thread", hawse_frame_release(*(hawse_frame*)frame));
  return NULL;
}

static int wrong_after_the_end(hawse_out kept) {
  hawse_event event;
  hawse_out out = 0;
  say_error("next after the end", hawse_node_next(node, 0, &event, sizeof event));
  say_error("allocate after the end", hawse_out_bytes(node, "out", 1, &out));
  say_error("send after the end", hawse_out_send(kept));
  say_error("finish twice", hawse_node_finish(node));
  say_error("fail after the end", hawse_node_fail(node, "too late", NULL));
  if (hawse_node_leave(node) != HAWSE_OK) return 1;
  return hawse_node_leave(node) != HAWSE_ERROR_HANDLE || hawse_node_log(node, HAWSE_LOG_INFO, "x") != HAWSE_ERROR_HANDLE || hawse_node_id(node) != NULL;
}

/* ---- parameters, each in its form ---- */

static int params_are_right(void) {
  int64_t every = 0, rate = 0;
  uint64_t size = 0;
  double gain = 0;
  int loud = 0;
  const char* nested = "", *again = "", *all = "";
  if (hawse_param_duration(node, "every", &every) != HAWSE_OK || every != 20000000) return 0;
  if (hawse_param_int(node, "nested.rate", &rate) != HAWSE_OK || rate != 48000) return 0;
  if (hawse_param_bytes(node, "size", &size) != HAWSE_OK || size != 4096) return 0;
  if (hawse_param_float(node, "gain", &gain) != HAWSE_OK || gain != 0.5) return 0;
  if (hawse_param_bool(node, "loud", &loud) != HAWSE_OK || loud != 1) return 0;
  if (hawse_param_json(node, "nested", &nested) != HAWSE_OK || strcmp(nested, "{\"rate\":48000}") != 0) return 0;
  if (hawse_param_json(node, "nested", &again) != HAWSE_OK || again != nested) return 0;
  if (hawse_param_json(node, NULL, &all) != HAWSE_OK || strstr(all, "\"nested\":{\"rate\":48000}") == NULL) return 0;
  return hawse_param_has(node, "loud") == 1 && hawse_param_has(node, "none") == 0;
}

int main(void) {
  const char* mode = "";
  char text[64];
  double first_ns = 0, last_ns = 0;
  hawse_event event = {0};
  hawse_out kept = 0;
  int64_t count = 0;
  uint64_t n = 0;
  if (hawse_node_join(hawse_signature, NULL, &node) != HAWSE_OK) {
    fprintf(stderr, "%s\n", hawse_last_error());
    return 2;
  }
  if (hawse_param_text(node, "mode", &mode) != HAWSE_OK || hawse_param_int(node, "count", &count) != HAWSE_OK) return give_up("parameters");
  if (!params_are_right()) return give_up("another parameter than was declared");
  const int errors = strcmp(mode, "errors") == 0, flooding = strcmp(mode, "flood") == 0, counting = strcmp(mode, "count") == 0, costing = strcmp(mode, "cost") == 0;
  if (errors) wrong_before_ready();
  if (hawse_node_ready(node) != HAWSE_OK) return give_up("ready");
  pthread_t other;
  const int threads = strcmp(mode, "threads") == 0 && pthread_create(&other, NULL, in_another_thread, NULL) == 0;

  while (event.kind != HAWSE_EVENT_ENDED && event.kind != HAWSE_EVENT_HANDED_OVER && (n < (uint64_t)count || (strcmp(mode, "source") != 0 && !flooding && !costing))) {
    int wrong = 0;
    int code = hawse_node_next(node, -1, &event, sizeof event);
    while (threads && code == HAWSE_ERROR_THREAD) code = hawse_node_next(node, -1, &event, sizeof event);
    if (code != HAWSE_OK) return give_up("next");
    if (event.kind == HAWSE_EVENT_PRODUCE) {
      ++n;
      if (costing) note_cost(n);
      wrong = flooding || costing ? flood() : source(n);
    }
    if (event.kind == HAWSE_EVENT_MATCHED) wrong = matched(&event);
    if (event.kind == HAWSE_EVENT_FLUSHED) say("flushed");
    if (event.kind == HAWSE_EVENT_FRAME) {
      ++n;
      if (errors)
        wrong_frame(event.frame);
      else if (threads)
        wrong = pthread_join(other, NULL) != 0 || pthread_create(&other, NULL, release_elsewhere, &event.frame) != 0 || pthread_join(other, NULL) != 0;
      else if (costing) {
        note_cost(n);
        wrong = hawse_frame_release(event.frame) != HAWSE_OK;
      } else if (counting) {
        last_ns = now_ns();
        if (n == 1) first_ns = last_ns;
        wrong = hawse_frame_release(event.frame) != HAWSE_OK;
      } else if (strcmp(mode, "fail") == 0 && n == 3)
        return give_up("the third frame");
      else
        wrong = strcmp(mode, "sink") == 0 ? sink(event.frame, n) : pass(event.frame);
    }
    if (wrong) {
      snprintf(text, sizeof text, "frame %llu isn't right", (unsigned long long)n);
      return give_up(text);
    }
  }
  if (counting)
    snprintf(text, sizeof text, "%llu frames, %.0f ns each", (unsigned long long)n, n > 1 ? (last_ns - first_ns) / (double)(n - 1) : 0);
  else if (costing)
    snprintf(text, sizeof text, "%.0f", least_ns);
  else
    snprintf(text, sizeof text, "%llu frames", (unsigned long long)n);
  say(text);
  if (errors && hawse_out_bytes(node, "out", 1, &kept) != HAWSE_OK) return give_up("keep a frame");
  if (hawse_node_finish(node) != HAWSE_OK) return give_up("finish");
  if (errors) return wrong_after_the_end(kept);
  return hawse_node_leave(node) != HAWSE_OK;
}
