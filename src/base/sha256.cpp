// SPDX-License-Identifier: Apache-2.0
//
// A file of its own, so that a program that needs no hash doesn't load OpenSSL: hawse-node starts often.
#include <openssl/evp.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace hawse {

std::string sha256_hex(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1)
    throw Error(ErrorCode::internal, "hash", "OpenSSL has no SHA-256");
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

}  // namespace hawse
