// SPDX-License-Identifier: Apache-2.0
// A library for LD_PRELOAD that lets the moonshine-cpp wheel run on an x86-64 CPU without AVX-512.
//
// That wheel's libmoonshine.so executes eight kinds of EVEX instruction and one on mask registers without asking the CPU
// first. The CPU answers each with SIGILL; the handler below carries out what the instruction says, on the registers
// that the kernel saved in the signal frame, and goes on behind it.
//
// Invariants
//   - On a CPU with AVX-512VL nothing is installed.
//   - An instruction is carried out wholly or not at all. Whatever isn't known here goes to the program's own SIGILL
//     action, default included, with the frame as it was: the fault repeats there.
//   - The program's calls of sigaction(SIGILL) set that own action and don't unseat the handler (Python's faulthandler,
//     which pytest switches on, would).
//   - The handler takes no lock, allocates nothing and calls nothing but sigaction and raise.
// The kernel's frame holds what the CPU has; the mask registers and vector registers 16 to 31 live in thread-local storage.
//
// Limits
//   - 128 and 256 bits; no broadcast from memory, no embedded rounding, no prefixes.
//   - A thread that blocks SIGILL dies at its first such instruction: the kernel kills it rather than ask.
//   - A bad address in such an instruction is a SIGSEGV with the handler on the stack.
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

// glibc's second name for sigaction, which this library doesn't take over.
extern int __sigaction(int signal, const struct sigaction* action, struct sigaction* previous);

typedef struct {
  uint64_t quad[4];
} Vector;

// What the CPU lacks, for this thread. Initial-exec: a signal handler must not allocate its storage.
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
  uint64_t mask[8];
  Vector vector[16];  // registers 16 to 31
} missing;

// ---- The registers in the signal frame

enum {
  promise_offset = 464,  // struct _fpx_sw_bytes within the FXSAVE area
  present_offset = 512,  // XSTATE_BV: which parts differ from their initial state
  sse_part = 1 << 1,
  avx_part = 1 << 2
};

typedef struct {
  greg_t* general;
  struct _libc_fpstate* legacy;  // MXCSR, lower halves of YMM0 to 15
  uint64_t* present;
  uint8_t* upper;  // upper halves of YMM0 to 15
} Machine;

static size_t upper_offset;  // CPUID's word, asked once before the handler is installed

static bool open_machine(ucontext_t* context, Machine* machine) {
  uint8_t* area = (uint8_t*)context->uc_mcontext.fpregs;
  if (area == NULL) return false;
  struct _fpx_sw_bytes promise;
  memcpy(&promise, area + promise_offset, sizeof promise);
  if (promise.magic1 != FP_XSTATE_MAGIC1 || (promise.xstate_bv & avx_part) == 0) return false;
  *machine = (Machine){context->uc_mcontext.gregs, context->uc_mcontext.fpregs, (uint64_t*)(void*)(area + present_offset),
                       area + upper_offset};
  return true;
}

static uint64_t read_general(const Machine* machine, unsigned number) {
  static const uint8_t index[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return (uint64_t)machine->general[index[number]];
}

static Vector read_vector(const Machine* machine, unsigned number) {
  if (number >= 16) return missing.vector[number - 16];
  Vector value = {{0}};
  if (*machine->present & sse_part) memcpy(&value.quad[0], &machine->legacy->_xmm[number], 16);
  if (*machine->present & avx_part) memcpy(&value.quad[2], machine->upper + 16 * number, 16);
  return value;
}

// Setting a part's bit makes the kernel load all of it, so a part that wasn't present is cleared first.
static void make_present(const Machine* machine) {
  if ((*machine->present & sse_part) == 0) memset(machine->legacy->_xmm, 0, sizeof machine->legacy->_xmm);
  if ((*machine->present & avx_part) == 0) memset(machine->upper, 0, 16 * 16);
  *machine->present |= sse_part | avx_part;
}

static void write_vector(const Machine* machine, unsigned number, Vector value) {
  if (number >= 16) {
    missing.vector[number - 16] = value;
    return;
  }
  make_present(machine);
  memcpy(&machine->legacy->_xmm[number], &value.quad[0], 16);
  memcpy(machine->upper + 16 * number, &value.quad[2], 16);
}

// ---- Decoding

// An EVEX instruction's name: opcode map, mandatory prefix (1: 66, 2: F3, 3: F2), W, opcode.
#define FORM(map, prefix, wide, opcode) ((map) << 16 | (prefix) << 12 | (wide) << 8 | (opcode))
enum {
  load_bytes = FORM(1, 3, 0, 0x6f),      // VMOVDQU8 from r/m
  store_bytes = FORM(1, 3, 0, 0x7f),     // VMOVDQU8 to r/m
  store_quads = FORM(1, 2, 1, 0x7f),     // VMOVDQU64 to r/m
  from_unsigned = FORM(1, 2, 1, 0x7b),   // VCVTUSI2SS from 64 bits
  equal_quads = FORM(2, 1, 1, 0x29),     // VPCMPEQQ to a mask
  broadcast_quad = FORM(2, 1, 1, 0x7c),  // VPBROADCASTQ from a general register
  permute_quads = FORM(2, 1, 1, 0x7e),   // VPERMT2Q
  round_scalar = FORM(3, 1, 0, 0x0a)     // VRNDSCALESS
};

typedef struct {
  unsigned form;
  unsigned reg, second, rm;  // the operands ModRM.reg, EVEX.vvvv and ModRM.rm as vector registers
  unsigned rm_general;       // ModRM.rm as a general register
  unsigned mask;             // number of the mask register; 0 means all lanes
  bool zeroing;
  size_t bytes;  // width of the vectors
  bool in_memory;
  uint64_t address;  // of the r/m operand, if in memory
  unsigned immediate;
  const uint8_t* next;
} Instruction;

// What a displacement of one byte counts in.
static unsigned displacement_unit(const Instruction* in) {
  if (in->form == from_unsigned) return 8;
  if (in->form == round_scalar) return 4;
  return (unsigned)in->bytes;
}

static int32_t take_32(const uint8_t** at) {
  int32_t value;
  memcpy(&value, *at, sizeof value);
  *at += sizeof value;
  return value;
}

// Leaves `in->address` to be counted from the end of the instruction if this returns true (RIP-relative).
static bool decode_address(const Machine* machine, Instruction* in, unsigned modrm, unsigned extend_index, unsigned extend_base) {
  const unsigned mod = modrm >> 6;
  unsigned base = modrm & 7;
  uint64_t address = 0;
  bool has_base = true;
  if (base == 4) {
    const unsigned sib = *in->next++;
    const unsigned index = (sib >> 3 & 7) | extend_index << 3;
    if (index != 4) address = read_general(machine, index) << (sib >> 6);
    base = sib & 7;
    has_base = !(mod == 0 && base == 5);
  } else if (mod == 0 && base == 5) {
    in->address = (uint64_t)(int64_t)take_32(&in->next);
    return true;
  }
  if (has_base) address += read_general(machine, base | extend_base << 3);
  if (mod == 1) address += (uint64_t)((int64_t)(int8_t)*in->next++ * displacement_unit(in));
  if (mod == 2 || !has_base) address += (uint64_t)(int64_t)take_32(&in->next);
  in->address = address;
  return false;
}

static bool is_known(unsigned form) {
  switch (form) {
    case load_bytes: case store_bytes: case store_quads: case from_unsigned:
    case equal_quads: case broadcast_quad: case permute_quads: case round_scalar: return true;
    default: return false;
  }
}

// 62 P0 P1 P2 opcode ModRM [SIB] [displacement] [immediate]; register extensions and vvvv are stored inverted.
// Bytes are read one after the other: those behind the instruction may not be mapped.
static bool decode(const Machine* machine, const uint8_t* at, Instruction* in) {
  const unsigned p0 = at[1], p1 = at[2], p2 = at[3];
  const bool reserved_bits_fit = (p0 & 0x08) == 0 && (p1 & 0x04) != 0;
  const bool broadcast_or_rounding = (p2 & 0x10) != 0;
  const unsigned length = p2 >> 5 & 3;
  if (!reserved_bits_fit || broadcast_or_rounding || length > 1) return false;
  *in = (Instruction){.form = FORM(p0 & 7u, p1 & 3u, p1 >> 7, (unsigned)at[4]), .next = at + 6};
  if (!is_known(in->form)) return false;

  const unsigned modrm = at[5];
  const unsigned r = ~p0 >> 7 & 1, x = ~p0 >> 6 & 1, b = ~p0 >> 5 & 1, r_high = ~p0 >> 4 & 1;
  in->reg = (modrm >> 3 & 7) | r << 3 | r_high << 4;
  in->second = (~p1 >> 3 & 15) | (~p2 >> 3 & 1) << 4;
  in->rm_general = (modrm & 7) | b << 3;
  in->rm = in->rm_general | x << 4;
  in->mask = p2 & 7;
  in->zeroing = p2 >> 7;
  in->bytes = length == 0 ? 16 : 32;
  in->in_memory = modrm >> 6 != 3;
  const bool from_end = in->in_memory && decode_address(machine, in, modrm, x, b);
  if (in->form == round_scalar) in->immediate = *in->next++;
  if (from_end) in->address += (uint64_t)(uintptr_t)in->next;
  return !in->zeroing || in->mask != 0;
}

// ---- Carrying out

static uint64_t wanted_lanes(const Instruction* in) { return in->mask == 0 ? UINT64_MAX : missing.mask[in->mask]; }

// Copies the wanted lanes and touches no byte of the others: they may lie in memory that isn't there.
static void copy_lanes(void* to, const void* from, size_t bytes, size_t lane_bytes, uint64_t wanted) {
  for (size_t at = 0; at < bytes; at += lane_bytes, wanted >>= 1) {
    if (wanted & 1) memcpy((uint8_t*)to + at, (const uint8_t*)from + at, lane_bytes);
  }
}

static void* memory(const Instruction* in) { return (void*)(uintptr_t)in->address; }

static Vector read_rm(const Machine* machine, const Instruction* in, size_t lane_bytes, uint64_t wanted) {
  if (!in->in_memory) return read_vector(machine, in->rm);
  Vector value = {{0}};
  copy_lanes(&value, memory(in), in->bytes, lane_bytes, wanted);
  return value;
}

// Unwanted lanes keep their value or become zero; what lies above the vector's width becomes zero.
static void write_lanes(const Machine* machine, const Instruction* in, unsigned number, Vector value, size_t lane_bytes) {
  Vector result = {{0}};
  if (!in->zeroing) {
    const Vector old = read_vector(machine, number);
    memcpy(&result, &old, in->bytes);
  }
  copy_lanes(&result, &value, in->bytes, lane_bytes, wanted_lanes(in));
  write_vector(machine, number, result);
}

static bool load(const Machine* machine, const Instruction* in, size_t lane_bytes) {
  if (in->second != 0) return false;
  write_lanes(machine, in, in->reg, read_rm(machine, in, lane_bytes, wanted_lanes(in)), lane_bytes);
  return true;
}

static bool store(const Machine* machine, const Instruction* in, size_t lane_bytes) {
  if (in->second != 0 || (in->in_memory && in->zeroing)) return false;
  const Vector value = read_vector(machine, in->reg);
  if (in->in_memory) {
    copy_lanes(memory(in), &value, in->bytes, lane_bytes, wanted_lanes(in));
  } else {
    write_lanes(machine, in, in->rm, value, lane_bytes);
  }
  return true;
}

static bool compare_equal(const Machine* machine, const Instruction* in) {
  if (in->reg > 7 || in->zeroing) return false;
  const Vector left = read_vector(machine, in->second);
  const Vector right = read_rm(machine, in, 8, wanted_lanes(in));
  uint64_t equal = 0;
  for (unsigned lane = 0; lane < in->bytes / 8; ++lane) equal |= (uint64_t)(left.quad[lane] == right.quad[lane]) << lane;
  missing.mask[in->reg] = equal & wanted_lanes(in);
  return true;
}

static bool broadcast(const Machine* machine, const Instruction* in) {
  if (in->second != 0 || in->in_memory) return false;
  const uint64_t value = read_general(machine, in->rm_general);
  write_lanes(machine, in, in->reg, (Vector){{value, value, value, value}}, 8);
  return true;
}

// The destination is also the first table; the bit above the lane number picks the table.
static bool permute(const Machine* machine, const Instruction* in) {
  const unsigned lanes = (unsigned)in->bytes / 8;
  const Vector first = read_vector(machine, in->reg);
  const Vector index = read_vector(machine, in->second);
  const Vector table = read_rm(machine, in, 8, UINT64_MAX);
  Vector result = {{0}};
  for (unsigned lane = 0; lane < lanes; ++lane) {
    const uint64_t from = index.quad[lane] & (lanes - 1);
    result.quad[lane] = (index.quad[lane] & lanes ? table : first).quad[from];
  }
  write_lanes(machine, in, in->reg, result, 8);
  return true;
}

enum { mxcsr_flags = 0x3f, mxcsr_masks = 0x1f80, mxcsr_masks_shift = 7, mxcsr_rounding_shift = 13 };

// Puts a scalar into the lowest lane of `second`. An exception that the program has unmasked is its own affair: refused.
static bool finish_scalar(const Machine* machine, const Instruction* in, uint32_t scalar, uint32_t raised) {
  if (raised & ~(machine->legacy->mxcsr >> mxcsr_masks_shift) & mxcsr_flags) return false;
  Vector result = read_vector(machine, in->second);
  memcpy(&result, &scalar, sizeof scalar);
  result.quad[2] = result.quad[3] = 0;
  machine->legacy->mxcsr |= raised;
  write_vector(machine, in->reg, result);
  return true;
}

// The program's rounding and denormal modes with every exception masked and no flag set.
static uint32_t quiet_mode(const Machine* machine) { return (machine->legacy->mxcsr & ~(uint32_t)mxcsr_flags) | mxcsr_masks; }

static bool convert_unsigned(const Machine* machine, const Instruction* in) {
  if (in->mask != 0) return false;
  uint64_t value = read_general(machine, in->rm_general);
  if (in->in_memory) memcpy(&value, memory(in), sizeof value);
  // cvtsi2ss is signed. Halved with its lost bit kept sticky, a large value rounds as it would whole; doubling is exact.
  const bool halve = value >> 63;
  const uint64_t half = halve ? value >> 1 | (value & 1) : value;
  uint32_t mode = quiet_mode(machine), scalar;
  __asm__ volatile("ldmxcsr %[mode]\n\tpxor %%xmm0, %%xmm0\n\tcvtsi2ssq %[half], %%xmm0\n\tstmxcsr %[mode]\n\tmovd %%xmm0, %[scalar]"
                   : [mode] "+m"(mode), [scalar] "=r"(scalar)
                   : [half] "r"(half)
                   : "xmm0");
  if (halve) scalar += 1u << 23;
  return finish_scalar(machine, in, scalar, mode & mxcsr_flags);
}

// With no scale (the immediate's upper half) this is SSE4.1's ROUNDSS, immediate for immediate.
static bool round_to_integral(const Machine* machine, const Instruction* in) {
  if (in->mask != 0 || in->immediate >> 4 != 0) return false;
  uint32_t scalar;
  const Vector source = in->in_memory ? (Vector){{0}} : read_vector(machine, in->rm);
  memcpy(&scalar, in->in_memory ? memory(in) : &source, sizeof scalar);
  const bool by_mxcsr = in->immediate & 4, silent = in->immediate & 8;
  uint32_t mode = quiet_mode(machine);
  if (!by_mxcsr) mode = (mode & ~(3u << mxcsr_rounding_shift)) | (in->immediate & 3) << mxcsr_rounding_shift;
  __asm__ volatile("ldmxcsr %[mode]\n\tmovd %[scalar], %%xmm0\n\troundss $4, %%xmm0, %%xmm0\n\tstmxcsr %[mode]\n\tmovd %%xmm0, %[scalar]"
                   : [mode] "+m"(mode), [scalar] "+r"(scalar)
                   :
                   : "xmm0");
  const uint32_t inexact = 0x20;
  return finish_scalar(machine, in, scalar, mode & mxcsr_flags & ~(silent ? inexact : 0));
}

static bool carry_out(const Machine* machine, const Instruction* in) {
  switch (in->form) {
    case load_bytes: return load(machine, in, 1);
    case store_bytes: return store(machine, in, 1);
    case store_quads: return store(machine, in, 8);
    case from_unsigned: return convert_unsigned(machine, in);
    case equal_quads: return compare_equal(machine, in);
    case broadcast_quad: return broadcast(machine, in);
    case permute_quads: return permute(machine, in);
    case round_scalar: return round_to_integral(machine, in);
    default: return false;
  }
}

// KORTESTB is VEX-encoded: C5 F9 98 ModRM, both operands mask registers.
static bool test_masks(const Machine* machine, const uint8_t* at) {
  if (at[1] != 0xf9 || at[2] != 0x98 || at[3] >> 6 != 3) return false;
  const uint8_t either = (uint8_t)(missing.mask[at[3] >> 3 & 7] | missing.mask[at[3] & 7]);
  const greg_t carry = 0x001, zero = 0x040, all_six = 0x8d5;
  machine->general[REG_EFL] &= ~all_six;
  machine->general[REG_EFL] |= (either == 0 ? zero : 0) | (either == 0xff ? carry : 0);
  machine->general[REG_RIP] += 4;
  return true;
}

static bool emulate(ucontext_t* context) {
  Machine machine;
  if (!open_machine(context, &machine)) return false;
  const uint8_t* at = (const uint8_t*)(uintptr_t)machine.general[REG_RIP];
  if (at[0] == 0xc5) return test_masks(&machine, at);
  Instruction in;
  if (at[0] != 0x62 || !decode(&machine, at, &in) || !carry_out(&machine, &in)) return false;
  machine.general[REG_RIP] = (greg_t)(uintptr_t)in.next;
  return true;
}

// ---- The handler and its place

static atomic_bool installed;
static struct sigaction own_action;  // the program's; written where the program calls sigaction, as without this library

static void on_illegal_instruction(int signal, siginfo_t* info, void* context) {
  const bool sent_by_somebody = info->si_code <= 0;
  if (!sent_by_somebody && emulate(context)) return;
  atomic_store_explicit(&installed, false, memory_order_relaxed);
  __sigaction(signal, &own_action, NULL);
  if (sent_by_somebody) raise(signal);  // a fault repeats by itself, a sent signal doesn't
}

__attribute__((visibility("default"))) int sigaction(int signal, const struct sigaction* action, struct sigaction* previous) {
  if (signal != SIGILL || !atomic_load_explicit(&installed, memory_order_relaxed)) return __sigaction(signal, action, previous);
  const struct sigaction before = own_action;
  if (action != NULL) own_action = *action;
  if (previous != NULL) *previous = before;
  return 0;
}

__attribute__((constructor)) static void install(void) {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx") || !__builtin_cpu_supports("sse4.1")) return;
  unsigned size, offset, flags, unused;
  if (!__get_cpuid_count(0xd, 2, &size, &offset, &flags, &unused)) return;
  upper_offset = offset;
  struct sigaction action = {.sa_sigaction = on_illegal_instruction, .sa_flags = SA_SIGINFO};
  sigemptyset(&action.sa_mask);
  if (__sigaction(SIGILL, &action, &own_action) == 0) atomic_store_explicit(&installed, true, memory_order_relaxed);
}
