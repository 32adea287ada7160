// SPDX-License-Identifier: Apache-2.0
// Runs with avx512_shim.so in LD_PRELOAD: executes every instruction that the shim knows, in the addressing forms that x86-64
// has, on random values, and compares with plain C. Where the CPU has AVX-512 the same instructions run on the CPU, which
// shows that the plain C is right, and that the shim stayed out of the way.
//
// Every check_* executes in inline assembly only; the compiler is never told that this CPU has AVX-512. Exit code 77: skipped.
#define _GNU_SOURCE
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

typedef union {
  uint64_t quad[4];
  uint32_t word[8];
  float real[8];
  uint8_t byte[32];
} Vector;

enum { rounds = 500, thread_count = 4 };

static atomic_uint failed, passed;
static bool cpu_has_it;

static void expect(bool holds, const char* what) {
  if (holds) {
    atomic_fetch_add(&passed, 1);
  } else if (atomic_fetch_add(&failed, 1) < 20) {
    printf("FAILED: %s\n", what);
  }
}

static void expect_same(Vector got, Vector wanted, const char* what) {
  expect(memcmp(&got, &wanted, sizeof got) == 0, what);
}

static _Thread_local uint64_t seed;

static uint64_t any(void) {  // xorshift64
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

static Vector any_vector(void) {
  Vector value;
  for (int lane = 0; lane < 4; ++lane) value.quad[lane] = any();
  return value;
}

#define ALL_ONES(ymm) "vpcmpeqd %%" ymm ", %%" ymm ", %%" ymm "\n\t"

// ---- vpbroadcastq r64 -> xmm, ymm: everything above the written width becomes zero

static void check_broadcast(void) {
  const uint64_t value = any();
  const Vector narrow = {{value, value, 0, 0}}, wide = {{value, value, value, value}};
  Vector low, high, full;
  __asm__ volatile(ALL_ONES("ymm0") "mov %[value], %%rax\n\tvpbroadcastq %%rax, %%xmm0\n\tvmovdqu %%ymm0, %[out]"
                   : [out] "=m"(low) : [value] "r"(value) : "rax", "xmm0");
  __asm__ volatile(ALL_ONES("ymm9") "mov %[value], %%r13\n\tvpbroadcastq %%r13, %%xmm9\n\tvmovdqu %%ymm9, %[out]"
                   : [out] "=m"(high) : [value] "r"(value) : "r13", "xmm9");
  // After vzeroupper the upper halves may be absent from the signal frame.
  __asm__ volatile("vzeroupper\n\tmov %[value], %%rdi\n\tvpbroadcastq %%rdi, %%ymm15\n\tvmovdqu %%ymm15, %[out]"
                   : [out] "=m"(full) : [value] "r"(value) : "rdi", "xmm15");
  expect_same(low, narrow, "vpbroadcastq rax -> xmm0");
  expect_same(high, narrow, "vpbroadcastq r13 -> xmm9");
  expect_same(full, wide, "vpbroadcastq rdi -> ymm15");
}

// ---- vpcmpeqq -> k1, kortestb, vmovdqu64 {k1}: the three that pass a mask on

static void check_masks(void) {
  const Vector left = any_vector(), value = any_vector();
  Vector right = any_vector(), target = any_vector(), wanted = target;
  const unsigned equal = any() & 15;
  for (int lane = 0; lane < 4; ++lane) {
    if (equal >> lane & 1) {
      right.quad[lane] = left.quad[lane];
      wanted.quad[lane] = value.quad[lane];
    }
  }
  uint8_t zero, carry, sign, overflow, parity;
  __asm__ volatile(
      "vmovdqu %[left], %%ymm1\n\tvmovdqu %[value], %%ymm0\n\tlea %[right], %%rax\n\tlea %[target], %%rdx\n\t"
      "vpcmpeqq (%%rax), %%ymm1, %%k1\n\t"
      "xor %%ecx, %%ecx\n\tcmp $1, %%ecx\n\t"  // sets CF, SF, PF and AF, which kortestb clears
      "kortestb %%k1, %%k1\n\t"
      "setz %[zero]\n\tsetc %[carry]\n\tsets %[sign]\n\tseto %[overflow]\n\tsetp %[parity]\n\t"
      "vmovdqu64 %%ymm0, (%%rdx) %{%%k1%}"
      : [target] "+m"(target), [zero] "=m"(zero), [carry] "=m"(carry), [sign] "=m"(sign), [overflow] "=m"(overflow), [parity] "=m"(parity)
      : [left] "m"(left), [value] "m"(value), [right] "m"(right)
      : "rax", "rcx", "rdx", "xmm0", "xmm1", "cc");
  expect(zero == (equal == 0), "kortestb's ZF after vpcmpeqq");
  expect(!carry && !sign && !overflow && !parity, "kortestb clears the other flags");
  expect_same(target, wanted, "vmovdqu64 ymm -> m256 {k1}");
}

// Merging and zeroing under a mask, into a register; the comparison itself under a mask.
static void check_masked_registers(void) {
  const Vector value = any_vector(), left = any_vector();
  Vector right = left, merged, zeroed, both;
  const unsigned equal = any() & 15, second_equal = any() & 15;
  Vector second = left;
  for (int lane = 0; lane < 4; ++lane) {
    if (!(equal >> lane & 1)) right.quad[lane] ^= 1;
    if (!(second_equal >> lane & 1)) second.quad[lane] ^= 2;
  }
  const uint64_t number = any();
  __asm__ volatile(
      "vmovdqu %[left], %%ymm12\n\tvmovdqu %[right], %%ymm3\n\tvpcmpeqq %%ymm3, %%ymm12, %%k5\n\t"
      "vmovdqu %[value], %%ymm4\n\tvmovdqu %[value], %%ymm5\n\tvmovdqu %[value], %%ymm6\n\tmov %[number], %%rax\n\t"
      "vpbroadcastq %%rax, %%ymm4 %{%%k5%}\n\tvpbroadcastq %%rax, %%ymm5 %{%%k5%} %{z%}\n\t"
      "vpcmpeqq %[second], %%ymm12, %%k7 %{%%k5%}\n\tvpbroadcastq %%rax, %%ymm6 %{%%k7%}\n\t"
      "vmovdqu %%ymm4, %[merged]\n\tvmovdqu %%ymm5, %[zeroed]\n\tvmovdqu %%ymm6, %[both]"
      : [merged] "=m"(merged), [zeroed] "=m"(zeroed), [both] "=m"(both)
      : [left] "m"(left), [right] "m"(right), [second] "m"(second), [value] "m"(value), [number] "r"(number)
      : "rax", "xmm3", "xmm4", "xmm5", "xmm6", "xmm12");
  Vector wanted_merged = value, wanted_zeroed = {{0}}, wanted_both = value;
  for (int lane = 0; lane < 4; ++lane) {
    if (equal >> lane & 1) wanted_merged.quad[lane] = wanted_zeroed.quad[lane] = number;
    if (equal & second_equal & 1u << lane) wanted_both.quad[lane] = number;
  }
  expect_same(merged, wanted_merged, "merging mask");
  expect_same(zeroed, wanted_zeroed, "zeroing mask");
  expect_same(both, wanted_both, "vpcmpeqq under a mask");
}

// The masked-off half of the vector lies in a page that can't be touched.
static void check_masked_store_at_the_edge(uint8_t* end_of_page) {
  const Vector left = any_vector(), value = any_vector();
  Vector right = left;
  right.quad[2] ^= 1;
  right.quad[3] ^= 1;
  memset(end_of_page - 16, 0, 16);
  __asm__ volatile("vmovdqu %[left], %%ymm1\n\tvmovdqu %[value], %%ymm0\n\tvpcmpeqq %[right], %%ymm1, %%k1\n\t"
                   "vmovdqu64 %%ymm0, -16(%[end]) %{%%k1%}"
                   : : [left] "m"(left), [value] "m"(value), [right] "m"(right), [end] "r"(end_of_page) : "xmm0", "xmm1", "memory");
  expect(memcmp(end_of_page - 16, &value, 16) == 0, "masked store beside a page that isn't there");
}

// ---- vpermt2q: the wheel's three forms, then the other ways to address memory

static Vector permuted(Vector first, Vector index, Vector second) {
  Vector result;
  for (int lane = 0; lane < 4; ++lane) result.quad[lane] = (index.quad[lane] & 4 ? second : first).quad[index.quad[lane] & 3];
  return result;
}

static Vector fixed_table = {{11, 22, 33, 44}};

// `setup` prepares the address in `operand`, whose content is `second`.
#define PERMUTE(setup, operand, second)                                                                                 \
  do {                                                                                                                  \
    Vector first_table = any_vector(), index = any_vector(), got;                                                       \
    __asm__ volatile("vmovdqu %[first], %%ymm0\n\tvmovdqu %[index], %%ymm2\n\t" setup "vpermt2q " operand               \
                     ", %%ymm2, %%ymm0\n\tvmovdqu %%ymm0, %[got]"                                                       \
                     : [got] "=m"(got)                                                                                  \
                     : [first] "m"(first_table), [index] "m"(index), [tables] "r"(tables), [n] "r"(n), [fixed] "m"(fixed_table) \
                     : "rax", "r9", "r12", "r13", "xmm0", "xmm1", "xmm2", "xmm11");                                     \
    expect_same(got, permuted(first_table, index, second), "vpermt2q " operand);                                        \
  } while (0)

static void check_permute(void) {
  Vector tables[8];
  for (int i = 0; i < 8; ++i) tables[i] = any_vector();
  const uint64_t n = any() % 4;
  PERMUTE("mov %[tables], %%rax\n\t", "0x20(%%rax)", tables[1]);
  PERMUTE("mov %[tables], %%rax\n\t", "0x60(%%rax)", tables[3]);
  PERMUTE("vmovdqu (%[tables]), %%ymm1\n\t", "%%ymm1", tables[0]);
  PERMUTE("vmovdqu (%[tables]), %%ymm11\n\t", "%%ymm11", tables[0]);
  PERMUTE("lea 0x40(%[tables]), %%r13\n\t", "(%%r13)", tables[2]);
  PERMUTE("lea 0x40(%[tables]), %%r12\n\t", "(%%r12)", tables[2]);
  PERMUTE("lea 0x40(%[tables]), %%r12\n\t", "-0x20(%%r12)", tables[1]);
  PERMUTE("lea 0x3d(%[tables]), %%rax\n\t", "3(%%rax)", tables[2]);
  PERMUTE("lea -0x1000(%[tables]), %%rax\n\t", "0x1020(%%rax)", tables[1]);
  PERMUTE("mov %[n], %%r9\n\tshl $3, %%r9\n\t", "0x20(%[tables],%%r9,4)", tables[1 + n]);
  PERMUTE("mov %[n], %%r9\n\tshl $2, %%r9\n\tmov %[tables], %%r13\n\t", "(%%r13,%%r9,8)", tables[n]);
  PERMUTE("mov %[tables], %%rax\n\tshr $1, %%rax\n\tmov %[tables], %%r9\n\tand $1, %%r9\n\t", "0x20(%%r9,%%rax,2)", tables[1]);
}

// RIP-relative. Not for several threads: one table for all.
static void check_permute_beside_the_code(void) {
  const Vector* tables = &fixed_table;
  const uint64_t n = 0;
  fixed_table = any_vector();
  PERMUTE("", "%[fixed]", fixed_table);
}

// ---- vmovdqu8: load and store; the load clears what lies above its width

// `vector` is the part of `whole` that is moved.
#define MOVE(vector, whole, from, to, width)                                                                             \
  do {                                                                                                                   \
    Vector wanted = {{0}}, got;                                                                                          \
    uint8_t copy[64] = {0};                                                                                              \
    memcpy(&wanted, source + at, width);                                                                                 \
    __asm__ volatile(ALL_ONES(whole) "mov %[source], %%rdi\n\tmov %[copy], %%rdx\n\tmov %[at], %%rax\n\t"                \
                     "lea (%%rdx,%%rax), %%r12\n\tvmovdqu8 " from ", %%" vector "\n\tvmovdqu8 %%" vector ", " to         \
                     "\n\tvmovdqu %%" whole ", %[got]"                                                                   \
                     : [got] "=m"(got)                                                                                   \
                     : [source] "r"(source), [copy] "r"(copy), [at] "r"(at)                                              \
                     : "rax", "rdi", "rdx", "r12", "xmm5", "xmm14", "memory");                                           \
    expect_same(got, wanted, "vmovdqu8 " from " -> " vector);                                                            \
    expect(memcmp(copy + at, source + at, width) == 0, "vmovdqu8 " vector " -> " to);                                    \
    expect(at == 0 || copy[at - 1] == 0, "vmovdqu8 stores nothing before its place");                                    \
    expect(copy[at + width] == 0, "vmovdqu8 stores nothing behind its place");                                           \
  } while (0)

static void check_moves(void) {
  uint8_t source[64];
  for (int i = 0; i < 64; ++i) source[i] = (uint8_t)(any() | 1);
  const uint64_t at = any() % 31;
  MOVE("ymm5", "ymm5", "(%%rdi,%%rax)", "(%%rdx,%%rax)", 32);
  MOVE("xmm5", "ymm5", "(%%rdi,%%rax)", "(%%r12)", 16);
  MOVE("ymm14", "ymm14", "(%%rdi,%%rax)", "(%%r12)", 32);
  MOVE("xmm14", "ymm14", "(%%rdi,%%rax)", "(%%rdx,%%rax)", 16);
}

static void check_register_moves_and_bystanders(void) {
  const Vector value = any_vector(), bystander = any_vector();
  Vector copy, still_there, narrow, wanted = {{value.quad[0], value.quad[1], 0, 0}};
  uint64_t counter = any(), counter_after = counter, flags_kept;
  __asm__ volatile("vmovdqu %[bystander], %%ymm7\n\tvmovdqu %[value], %%ymm8\n\t" ALL_ONES("ymm3") "cmp %%rax, %%rax\n\t"
                   "vmovdqu8 %%ymm8, %%ymm10\n\tvmovdqu8 %%xmm8, %%xmm3\n\t"
                   "mov $0, %%eax\n\tsetz %%al\n\tmov %%rax, %[flags_kept]\n\t"
                   "vmovdqu %%ymm10, %[copy]\n\tvmovdqu %%ymm3, %[narrow]\n\tvmovdqu %%ymm7, %[still_there]"
                   : [copy] "=m"(copy), [narrow] "=m"(narrow), [still_there] "=m"(still_there), [flags_kept] "=m"(flags_kept),
                     [counter] "+r"(counter_after)
                   : [value] "m"(value), [bystander] "m"(bystander)
                   : "rax", "xmm3", "xmm7", "xmm8", "xmm10", "cc");
  expect_same(copy, value, "vmovdqu8 ymm -> ymm");
  expect_same(narrow, wanted, "vmovdqu8 xmm -> xmm");
  expect_same(still_there, bystander, "other registers keep their values");
  expect(flags_kept == 1 && counter_after == counter, "flags and general registers keep their values");
}

// Registers 16 to 31 exist with AVX-512 only.
static void check_high_registers(void) {
  const uint64_t value = any();
  const Vector bytes = any_vector();
  Vector out = {{1, 2, 3, 4}}, moved = {{0}};
  __asm__ volatile("mov %[value], %%rcx\n\tvpbroadcastq %%rcx, %%xmm20\n\tvmovdqu64 %%ymm20, %[out]\n\t"
                   "vmovdqu8 %[bytes], %%ymm31\n\tvmovdqu8 %%ymm31, %[moved]"
                   : [out] "=m"(out), [moved] "=m"(moved) : [value] "r"(value), [bytes] "m"(bytes) : "rcx");
  expect_same(out, (Vector){{value, value, 0, 0}}, "xmm20");
  expect_same(moved, bytes, "ymm31");
}

// ---- vcvtusi2ss and vrndscaless, in the four rounding modes

static uint32_t status_flags(void) {
  uint32_t mxcsr;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  return mxcsr & 0x3f;
}

static void clear_status_flags(void) {
  uint32_t mxcsr;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  mxcsr &= ~0x3fu;
  __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static void expect_scalar(Vector got, Vector second, float scalar, const char* what) {
  second.real[0] = scalar;
  second.quad[2] = second.quad[3] = 0;
  expect_same(got, second, what);
}

static void check_convert(void) {
  const Vector second = any_vector();
  struct { uint64_t before[16], value, after[4]; } block;
  block.value = any() >> (any() % 64);
  Vector far, near, direct;
  clear_status_flags();
  __asm__ volatile(ALL_ONES("ymm0") "vmovdqu %[second], %%ymm3\n\tlea 0x430(%[value]), %%rax\n\tvcvtusi2ssq -0x430(%%rax), %%xmm3, %%xmm0\n\tvmovdqu %%ymm0, %[out]"
                   : [out] "=m"(far) : [second] "m"(second), [value] "r"(&block.value), "m"(block) : "rax", "xmm0", "xmm3");
  const bool inexact = status_flags() & 0x20;
  __asm__ volatile("vmovdqu %[second], %%ymm13\n\tlea -0x40(%[value]), %%rax\n\tvcvtusi2ssq 0x40(%%rax), %%xmm13, %%xmm13\n\tvmovdqu %%ymm13, %[out]"
                   : [out] "=m"(near) : [second] "m"(second), [value] "r"(&block.value), "m"(block) : "rax", "xmm13");
  __asm__ volatile("vmovdqu %[second], %%ymm3\n\tmov %[value], %%r10\n\tvcvtusi2ssq %%r10, %%xmm3, %%xmm0\n\tvmovdqu %%ymm0, %[out]"
                   : [out] "=m"(direct) : [second] "m"(second), [value] "r"(block.value) : "r10", "xmm0", "xmm3");
  // x87's significand has 64 bits: the value is exact there and rounded once.
  volatile long double exact = (long double)block.value;
  volatile float wanted = (float)exact;
  expect_scalar(far, second, wanted, "vcvtusi2ss m64 (displacement of 4 bytes)");
  expect_scalar(near, second, wanted, "vcvtusi2ss m64 (displacement of 1 byte)");
  expect_scalar(direct, second, wanted, "vcvtusi2ss r64");
  expect(inexact == ((long double)wanted != exact), "vcvtusi2ss's inexact flag");
}

static float any_float(void) {
  Vector value = any_vector();
  if (any() & 1) value.real[0] = (float)((double)(int64_t)value.quad[1] / 0x1p55);  // -256 to 256
  return value.real[0];
}

static float quieted(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) bits |= 0x00400000u;
  memcpy(&value, &bits, sizeof bits);
  return value;
}

#define ROUND(immediate, wanted)                                                                                         \
  do {                                                                                                                   \
    clear_status_flags();                                                                                                \
    __asm__ volatile(ALL_ONES("ymm1") "vmovdqu %[second], %%ymm4\n\tvmovdqu %[value], %%ymm2\n\tvrndscaless $" #immediate \
                     ", %%xmm2, %%xmm4, %%xmm1\n\tvmovdqu %%ymm1, %[out]"                                                \
                     : [out] "=m"(out) : [second] "m"(second), [value] "m"(value) : "xmm1", "xmm2", "xmm4");             \
    flags = status_flags();                                                                                              \
    expect_scalar(out, second, wanted, "vrndscaless $" #immediate);                                                      \
  } while (0)

static float fixed_float;

static void check_round(void) {
  const Vector second = any_vector();
  const float number = any_float();
  const Vector value = {.real = {number}};
  Vector out;
  uint32_t flags;
  ROUND(0x0a, quieted(ceilf(number)));
  expect((flags & 0x20) == 0, "vrndscaless $0x0a leaves the inexact flag alone");
  ROUND(0x09, quieted(floorf(number)));
  ROUND(0x0b, quieted(truncf(number)));
  ROUND(0x08, quieted(roundevenf(number)));
  ROUND(0x02, quieted(ceilf(number)));
  expect(isnan(number) || ((flags & 0x20) != 0) == (ceilf(number) != number), "vrndscaless $0x02 sets the inexact flag");
  ROUND(0x04, quieted(rintf(number)));
  __asm__ volatile("vmovdqu %[second], %%ymm9\n\tlea -8(%[value]), %%rax\n\tvrndscaless $0x0a, 8(%%rax), %%xmm9, %%xmm9\n\tvmovdqu %%ymm9, %[out]"
                   : [out] "=m"(out) : [second] "m"(second), [value] "r"(&value), "m"(value) : "rax", "xmm9");
  expect_scalar(out, second, quieted(ceilf(number)), "vrndscaless m32");
}

// RIP-relative counts from the end of the instruction, behind its immediate. Not for several threads.
static void check_round_beside_the_code(void) {
  const Vector second = any_vector();
  Vector out;
  fixed_float = any_float();
  __asm__ volatile("vmovdqu %[second], %%ymm9\n\tvrndscaless $0x0a, %[value], %%xmm9, %%xmm9\n\tvmovdqu %%ymm9, %[out]"
                   : [out] "=m"(out) : [second] "m"(second), [value] "m"(fixed_float) : "xmm9");
  expect_scalar(out, second, quieted(ceilf(fixed_float)), "vrndscaless m32, RIP-relative");
}

// ---- What the shim does to the process around it

// The kernel's word, which sigaction's answer isn't: bit 3 is SIGILL's.
static bool sigill_is_caught(void) {
  FILE* status = fopen("/proc/self/status", "re");
  char line[256];
  unsigned long long caught = 0;
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    if (sscanf(line, "SigCgt: %llx", &caught) == 1) break;
  }
  if (status != NULL) fclose(status);
  return caught >> 3 & 1;
}

static int status_of_child(void (*body)(void)) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

static bool killed_by_sigill(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGILL; }

static void run_undefined_instruction(void) { __asm__ volatile("ud2"); }

static void run_unknown_instruction(void) {
  if (cpu_has_it) run_undefined_instruction();
  __asm__ volatile("vpaddq %%ymm0, %%ymm1, %%ymm2 %{%%k1%}" : : : "xmm2");
}

static void run_with_segment_prefix(void) {
  if (cpu_has_it) run_undefined_instruction();
  __asm__ volatile("vmovdqu8 %%fs:0, %%ymm5" : : : "xmm5");
}

static void send_sigill(void) { kill(getpid(), SIGILL); }

static void exit_with_42(int signal, siginfo_t* info, void* context) {
  (void)signal;
  const ucontext_t* at = context;
  const uint8_t* code = (const uint8_t*)(uintptr_t)at->uc_mcontext.gregs[REG_RIP];
  const bool at_ud2 = info->si_code > 0 && code[0] == 0x0f && code[1] == 0x0b;
  _exit(at_ud2 ? 42 : 1);
}

// As Python's faulthandler does it: a SIGILL action of the program's own.
static void run_with_own_action(void) {
  struct sigaction own = {.sa_sigaction = exit_with_42, .sa_flags = SA_SIGINFO}, before, now;
  if (sigaction(SIGILL, &own, &before) != 0 || before.sa_handler != SIG_DFL) _exit(2);
  if (sigaction(SIGILL, NULL, &now) != 0 || now.sa_sigaction != exit_with_42) _exit(3);
  seed = 7;
  check_masks();
  if (atomic_load(&failed) != 0) _exit(4);
  run_undefined_instruction();
}

static void check_the_process(void) {
  expect(sigill_is_caught() != cpu_has_it, "the handler is installed just where the CPU lacks AVX-512VL");
  expect(killed_by_sigill(status_of_child(run_undefined_instruction)), "ud2 still kills");
  expect(killed_by_sigill(status_of_child(run_unknown_instruction)), "an unknown EVEX instruction still kills");
  expect(killed_by_sigill(status_of_child(run_with_segment_prefix)), "a segment prefix still kills");
  expect(killed_by_sigill(status_of_child(send_sigill)), "a SIGILL sent by somebody still kills");
  const int status = status_of_child(run_with_own_action);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 42, "the program's own SIGILL action gets what the shim doesn't know, and only that");
}

// ---- Main

static void check_all(void) {
  static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  uint8_t* pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED || mprotect(pages + 4096, 4096, PROT_NONE) != 0) abort();
  for (int round = 0; round < rounds; ++round) {
    check_broadcast();
    check_masks();
    check_masked_registers();
    check_masked_store_at_the_edge(pages + 4096);
    check_permute();
    check_moves();
    check_register_moves_and_bystanders();
    check_high_registers();
    fesetround(modes[round % 4]);
    check_convert();
    check_round();
    fesetround(FE_TONEAREST);
  }
  munmap(pages, 8192);
}

static void* thread(void* number) {
  seed = 0x9e3779b97f4a7c15u + (uintptr_t)number;
  check_all();
  return NULL;
}

int main(void) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2")) {
    puts("skipped: this CPU has no AVX2, on whose registers the shim works");
    return 77;
  }
  cpu_has_it = __builtin_cpu_supports("avx512vl");
  puts(cpu_has_it ? "this CPU has AVX-512VL: it executes the instructions itself, the shim must stay out of the way"
                  : "this CPU has no AVX-512VL: the shim carries the instructions out");
  check_the_process();
  seed = 1;
  for (int round = 0; round < rounds; ++round) {
    check_permute_beside_the_code();
    check_round_beside_the_code();
  }
  pthread_t threads[thread_count];  // mask registers are each thread's own
  for (uintptr_t i = 0; i < thread_count; ++i) {
    if (pthread_create(&threads[i], NULL, thread, (void*)i) != 0) abort();
  }
  for (int i = 0; i < thread_count; ++i) pthread_join(threads[i], NULL);
  printf("%u checks passed, %u failed\n", atomic_load(&passed), atomic_load(&failed));
  return atomic_load(&failed) == 0 && atomic_load(&passed) > 0 ? 0 : 1;
}
