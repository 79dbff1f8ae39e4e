#pragma once

#include <isa-l/igzip_lib.h>

#include <cstdlib>
#include <string>

namespace hayate::inflate {

/// A gzip member with this text (tests, fuzzing).
inline std::string GzipOf(const std::string& text) {
  isal_zstream stream{};
  isal_deflate_stateless_init(&stream);
  std::string out(text.size() + text.size() / 8 + 1024, '\0');
  stream.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uint32_t>(text.size());
  stream.next_out = reinterpret_cast<uint8_t*>(out.data());
  stream.avail_out = static_cast<uint32_t>(out.size());
  stream.gzip_flag = IGZIP_GZIP;
  stream.flush = NO_FLUSH;
  if (isal_deflate_stateless(&stream) != COMP_OK) std::abort();
  out.resize(stream.total_out);
  return out;
}

}  // namespace hayate::inflate
