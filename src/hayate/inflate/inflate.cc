#include "hayate/inflate/inflate.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "hayate/inflate/gzip_stream.h"
#include "hayate/inflate/input_window.h"

namespace hayate::inflate {
namespace {

constexpr std::array<uint8_t, 2> kMagic = {0x1f, 0x8b};
constexpr int64_t kLeastWindowBytes = 1;
constexpr int64_t kMostWindowBytes = int64_t{1} << 30;

// Bytes already taken from a stream, then the rest of it.
class Prefixed : public ByteStream {
 public:
  Prefixed(std::span<const uint8_t> prefix, std::unique_ptr<ByteStream> rest)
      : rest_(std::move(rest)), size_(prefix.size()) {
    std::copy(prefix.begin(), prefix.end(), prefix_.begin());
  }

  Result<int64_t> Read(std::span<uint8_t> out) override {
    if (taken_ == size_) return rest_->Read(out);
    const size_t n = std::min(out.size(), size_ - taken_);
    std::memcpy(out.data(), prefix_.data() + taken_, n);
    taken_ += n;
    return static_cast<int64_t>(n);
  }

  const std::string& name() const override { return rest_->name(); }

 private:
  std::unique_ptr<ByteStream> rest_;
  std::array<uint8_t, kMagic.size()> prefix_{};
  size_t size_ = 0;
  size_t taken_ = 0;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> MakeTextStream(std::unique_ptr<ByteStream> input,
                                                   InflateOptions options) {
  std::array<uint8_t, kMagic.size()> start{};
  size_t have = 0;
  while (have < start.size()) {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, input->Read(std::span<uint8_t>(start).subspan(have)));
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  auto whole =
      std::make_unique<Prefixed>(std::span<const uint8_t>(start.data(), have), std::move(input));
  if (have < start.size() || start != kMagic) return whole;
  const int64_t window_bytes =
      std::clamp(options.input_window_bytes, kLeastWindowBytes, kMostWindowBytes);
  ARROW_ASSIGN_OR_RAISE(auto window, InputWindow::Make(window_bytes));
  return MakeGzipStream(std::move(whole), std::move(window));
}

}  // namespace hayate::inflate
