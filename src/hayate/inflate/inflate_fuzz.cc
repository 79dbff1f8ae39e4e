#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hayate/base/memory_stream.h"
#include "hayate/inflate/inflate.h"

/// The first byte chooses the window; the rest is the stream. Bounded output: a bomb is no finding.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMostTextBytes = 1 << 22;
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  auto stream = hayate::inflate::MakeTextStream(std::make_unique<hayate::MemoryStream>(bytes, size),
                                                {.input_window_bytes = 1 + data[0]});
  std::vector<uint8_t> out(4096);
  for (int64_t total = 0; stream.ok() && total < kMostTextBytes;) {
    const auto n = (*stream)->Read(out);
    if (!n.ok() || *n == 0) break;
    total += *n;
  }
  return 0;
}
