// SPDX-License-Identifier: Apache-2.0
//
// A C++ class as a transport behind peer.h. The class is one end:
//
//   explicit End(const hawse_peer_setup&);
//   void* loan(std::uint64_t bytes);   void send(std::uint64_t bytes);
//   Payload receive();                 void release();
//
// and throws where something fails; the adapter turns that into the interface's error text.
#pragma once

#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>

#include "bench/peers/peer.h"

namespace hawse::bench {

struct Payload {
  const void* data = nullptr;
  std::uint64_t bytes = 0;
};

template <class End>
class Adapter {
 public:
  static hawse_peer* open(const hawse_peer_setup* setup) {
    try {
      return reinterpret_cast<hawse_peer*>(new Adapter(*setup));
    } catch (const std::exception& error) {
      std::snprintf(setup->error, setup->error_bytes, "%s", error.what());
      return nullptr;
    }
  }
  static void* loan(hawse_peer* peer, std::uint64_t bytes) {
    void* memory = nullptr;
    of(peer).guarded([&](End& end) { memory = end.loan(bytes); });
    return memory;
  }
  static std::int32_t send(hawse_peer* peer, std::uint64_t bytes) {
    return of(peer).guarded([&](End& end) { end.send(bytes); });
  }
  static std::int32_t receive(hawse_peer* peer, const void** payload, std::uint64_t* bytes) {
    return of(peer).guarded([&](End& end) {
      const Payload received = end.receive();
      *payload = received.data;
      *bytes = received.bytes;
    });
  }
  static void release(hawse_peer* peer) { of(peer).end_.release(); }
  static void close(hawse_peer* peer) { delete &of(peer); }

 private:
  explicit Adapter(const hawse_peer_setup& setup) : error_(setup.error), error_bytes_(setup.error_bytes), end_(setup) {}
  static Adapter& of(hawse_peer* peer) { return *reinterpret_cast<Adapter*>(peer); }

  template <class Call>
  std::int32_t guarded(Call&& call) {
    try {
      call(end_);
      return 0;
    } catch (const std::exception& error) {
      std::snprintf(error_, error_bytes_, "%s", error.what());
      return -1;
    }
  }

  char* error_;
  std::uint64_t error_bytes_;
  End end_;
};

struct Traits {
  const char* name;
  std::uint32_t waits;
  std::uint64_t max_bytes = ~std::uint64_t{0};
  std::uint32_t copies = 0;
  std::uint32_t max_readers = 1;
};

template <class End>
hawse_transport api_of(const Traits& traits, const char* (*version)()) {
  using A = Adapter<End>;
  return {HAWSE_PEER_ABI, traits.waits, traits.max_readers, traits.copies, traits.max_bytes, traits.name, version, A::open,
          A::loan,        A::send,      A::receive,         A::release,    A::close};
}

}  // namespace hawse::bench
