#include "hayate/inflate/inflate.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>

#include "hayate/inflate/codec_stream.h"
#include "hayate/inflate/gzip_stream.h"
#include "hayate/inflate/input_window.h"

namespace hayate::inflate {
namespace {

constexpr std::array<uint8_t, 2> kGzipMagic = {0x1f, 0x8b};
constexpr size_t kMagicBytes = std::max(kGzipMagic.size(), kCodecMagicBytes);
constexpr int64_t kLeastWindowBytes = kMagicBytes;
constexpr int64_t kMostWindowBytes = int64_t{1} << 30;

// The bytes of a window, then the rest of the stream that they are from.
class Prefixed : public ByteStream {
 public:
  Prefixed(std::unique_ptr<InputWindow> window, std::unique_ptr<ByteStream> rest)
      : window_(std::move(window)), left_(window_->data()), rest_(std::move(rest)) {}

  Result<int64_t> Read(std::span<uint8_t> out) override {
    if (left_.empty()) return rest_->Read(out);
    const size_t n = std::min(out.size(), left_.size());
    std::memcpy(out.data(), left_.data(), n);
    left_ = left_.subspan(n);
    if (left_.empty()) window_ = nullptr;
    return static_cast<int64_t>(n);
  }

  const std::string& name() const override { return rest_->name(); }

 private:
  std::unique_ptr<InputWindow> window_;
  std::span<const uint8_t> left_;
  std::unique_ptr<ByteStream> rest_;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> MakeTextStream(std::unique_ptr<ByteStream> input,
                                                   InflateOptions options) {
  const int64_t window_bytes =
      std::clamp(options.input_window_bytes, kLeastWindowBytes, kMostWindowBytes);
  ARROW_ASSIGN_OR_RAISE(auto window, InputWindow::Make(window_bytes));
  ARROW_RETURN_NOT_OK(window->Fill(input.get(), kMagicBytes).status());
  const std::span<const uint8_t> start = window->data();
  if (start.size() >= kGzipMagic.size() &&
      std::equal(kGzipMagic.begin(), kGzipMagic.end(), start.begin())) {
    return MakeGzipStream(std::move(input), std::move(window));
  }
  if (const auto format = FindCodecFormat(start)) {
    return MakeCodecStream(*format, std::move(input), std::move(window));
  }
  return std::make_unique<Prefixed>(std::move(window), std::move(input));
}

}  // namespace hayate::inflate
