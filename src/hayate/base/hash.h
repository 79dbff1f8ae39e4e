#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace hayate {

/// Streaming XXH3-128 (https://github.com/Cyan4973/xxHash, stable since 0.8.0). Used for keys and
/// for part checksums: it finds damage, it is no defence against an attacker.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void Update(std::span<const uint8_t> bytes);
  void Update(std::string_view text);
  /// 32 lower-case hexadecimal digits of all bytes so far.
  std::string HexDigest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Digest of one piece of text.
std::string HashText(std::string_view text);

/// XXH3-64 with seed 0: the fixed hash of partition keys (see shuffle/partition_hash.h).
uint64_t Hash64(std::span<const uint8_t> bytes);

}  // namespace hayate
