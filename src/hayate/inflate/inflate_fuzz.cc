#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "hayate/inflate/inflate.h"

namespace {

class Bytes : public hayate::ByteStream {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  hayate::Result<int64_t> Read(std::span<uint8_t> out) override {
    const size_t n = std::min(out.size(), size_ - at_);
    std::memcpy(out.data(), data_ + at_, n);
    at_ += n;
    return static_cast<int64_t>(n);
  }

  const std::string& name() const override { return name_; }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
  std::string name_ = "fuzz";
};

}  // namespace

/// The first byte chooses the window; the rest is the stream. Bounded output: a bomb is no finding.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMostTextBytes = 1 << 22;
  if (size == 0) return 0;
  auto stream = hayate::inflate::MakeTextStream(std::make_unique<Bytes>(data + 1, size - 1),
                                                {.input_window_bytes = 1 + data[0]});
  std::vector<uint8_t> out(4096);
  for (int64_t total = 0; stream.ok() && total < kMostTextBytes;) {
    const auto n = (*stream)->Read(out);
    if (!n.ok() || *n == 0) break;
    total += *n;
  }
  return 0;
}
