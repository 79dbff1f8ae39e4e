#include "hayate/output/gzip.h"

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "hayate/base/guarded_buffer.h"

namespace hayate::output {
namespace {

// Level 1 is the best trade of ISA-L's: some 40 % smaller than level 0, for little time.
constexpr uint32_t kLevel = 1;
// ISA-L counts a buffer's bytes in 32 bits; windows keep far from that.
constexpr size_t kWindowBytes = 1 << 20;

}  // namespace

Result<std::string> GzipMember(std::string_view text) {
  std::vector<uint8_t> level_buffer(ISAL_DEF_LVL1_DEFAULT);
  ARROW_ASSIGN_OR_RAISE(const auto output, GuardedBuffer::Make(kWindowBytes));
  GuardedBuffer input;
  if (kGuardsBuffers) {
    ARROW_ASSIGN_OR_RAISE(input, GuardedBuffer::Make(kWindowBytes));
  }
  const std::span<uint8_t> window = output.bytes();
  isal_zstream stream;
  isal_deflate_init(&stream);
  stream.level = kLevel;
  stream.level_buf = level_buffer.data();
  stream.level_buf_size = static_cast<uint32_t>(level_buffer.size());
  stream.gzip_flag = IGZIP_GZIP;
  std::string member;
  size_t consumed = 0;
  do {
    const size_t take = std::min(kWindowBytes, text.size() - consumed);
    // ISA-L does not write to its input; its interface only lacks the const.
    stream.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(text.data() + consumed));
    if (kGuardsBuffers) {
      const auto guarded = input.bytes().last(take);
      std::memcpy(guarded.data(), stream.next_in, take);
      stream.next_in = guarded.data();
    }
    stream.avail_in = static_cast<uint32_t>(take);
    consumed += take;
    stream.end_of_stream = consumed == text.size() ? 1 : 0;
    do {
      stream.next_out = window.data();
      stream.avail_out = static_cast<uint32_t>(window.size());
      if (const int error = isal_deflate(&stream); error != COMP_OK) {
        return Fail(Fault::kInternal, "gzip failed with code " + std::to_string(error));
      }
      member.append(reinterpret_cast<const char*>(window.data()), window.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  } while (consumed < text.size());
  return member;
}

}  // namespace hayate::output
