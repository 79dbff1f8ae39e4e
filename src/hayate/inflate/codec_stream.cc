#include "hayate/inflate/codec_stream.h"

#include <arrow/util/compression.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace hayate::inflate {
namespace {

std::string_view NameOf(CodecFormat format) {
  return format == CodecFormat::kZstd ? "zstd" : "bzip2";
}

constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

bool StartsWith(std::span<const uint8_t> start, std::string_view bytes) {
  return start.size() >= bytes.size() &&
         std::equal(bytes.begin(), bytes.end(), start.begin(),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

// The most memory that libzstd gives a frame, unless asked for more.
constexpr uint64_t kMostWindowBytes = uint64_t{1} << 27;

// How far back a zstd frame reaches, by its header (RFC 8878, 3.1.1.1); 0 where that is not in
// `start`, or where the frame is no longer than that.
uint64_t ZstdWindowBytes(std::span<const uint8_t> start) {
  constexpr size_t kDescriptor = 4;
  constexpr uint8_t kSingleSegment = 1 << 5;
  if (!StartsWith(start, kZstdMagic) || start.size() < kDescriptor + 2) return 0;
  if ((start[kDescriptor] & kSingleSegment) != 0) return 0;
  const uint8_t window = start[kDescriptor + 1];
  const uint64_t base = uint64_t{1} << (10 + (window >> 3));
  return base + base / 8 * (window & 7);
}

class CodecStream : public ByteStream {
 public:
  CodecStream(CodecFormat format, std::shared_ptr<arrow::util::Decompressor> decompressor,
              std::unique_ptr<ByteStream> input, std::unique_ptr<InputWindow> window)
      : format_(format),
        decompressor_(std::move(decompressor)),
        input_(std::move(input)),
        window_(std::move(window)) {
    TakeInput(window_->data());
  }

  Result<int64_t> Read(std::span<uint8_t> out) override {
    if (out.empty()) return Fail(Fault::kInternal, "a read of no bytes", {.object = name()});
    while (true) {
      if (left_.empty() && !at_end_) ARROW_RETURN_NOT_OK(Refill());
      if (decompressor_->IsFinished()) {
        if (at_end_) return 0;
        if (const Status reset = decompressor_->Reset(); !reset.ok()) return Damaged(reset);
      }
      const auto step = decompressor_->Decompress(
          static_cast<int64_t>(left_.size()), left_.data(),
          static_cast<int64_t>(std::min(out.size(), kMostAtOnce)), out.data());
      if (!step.ok()) return Damaged(step.status());
      left_ = left_.subspan(static_cast<size_t>(step->bytes_read));
      if (step->bytes_written > 0) return step->bytes_written;
      if (decompressor_->IsFinished()) continue;
      if (at_end_) return Truncated();
      if (step->bytes_read == 0 && !left_.empty()) return Damaged(Status::IOError("no progress"));
    }
  }

  const std::string& name() const override { return input_->name(); }

 private:
  static constexpr size_t kMostAtOnce = size_t{1} << 30;

  void TakeInput(std::span<const uint8_t> data) {
    left_ = data;
    read_bytes_ += static_cast<int64_t>(data.size());
  }

  Status Refill() {
    ARROW_ASSIGN_OR_RAISE(const auto data, window_->Fill(input_.get()));
    TakeInput(data);
    at_end_ = data.empty();
    return Status::OK();
  }

  Status Truncated() const {
    return Fail(Fault::kInput,
                "the " + std::string(NameOf(format_)) + " data ends in the middle of a frame",
                {.object = name(), .byte = read_bytes_},
                "The file was cut off (an unfinished copy or export): fetch or make it again.");
  }

  // `why` is Arrow's, which says what the library said.
  Status Damaged(const Status& why) const {
    return Fail(Fault::kInput,
                "the " + std::string(NameOf(format_)) + " data is damaged: " + why.message(),
                {.object = name(), .byte = read_bytes_ - static_cast<int64_t>(left_.size())},
                "Fetch or make the file again.");
  }

  const CodecFormat format_;
  const std::shared_ptr<arrow::util::Decompressor> decompressor_;
  const std::unique_ptr<ByteStream> input_;
  const std::unique_ptr<InputWindow> window_;
  std::span<const uint8_t> left_;  // of the window
  int64_t read_bytes_ = 0;
  bool at_end_ = false;
};

}  // namespace

std::optional<CodecFormat> FindCodecFormat(std::span<const uint8_t> start) {
  // RFC 8878, 3.1: a frame, or a skippable one (0x184D2A50 to 5F), which pzstd begins with.
  const bool skippable =
      start.size() >= 4 && start[0] >> 4 == 5 && StartsWith(start.subspan(1), "\x2a\x4d\x18");
  if (skippable || StartsWith(start, kZstdMagic)) return CodecFormat::kZstd;
  // "BZh", the size of a block, and the mark of a block or that of the end: letters alone may be
  // the start of a text.
  constexpr std::array<std::string_view, 2> kMarks = {"\x31\x41\x59\x26\x53\x59",
                                                      "\x17\x72\x45\x38\x50\x90"};
  if (start.size() >= kCodecMagicBytes && StartsWith(start, "BZh") && start[3] >= '1' &&
      start[3] <= '9' &&
      (StartsWith(start.subspan(4), kMarks[0]) || StartsWith(start.subspan(4), kMarks[1]))) {
    return CodecFormat::kBzip2;
  }
  return std::nullopt;
}

Result<std::unique_ptr<ByteStream>> MakeCodecStream(CodecFormat format,
                                                    std::unique_ptr<ByteStream> input,
                                                    std::unique_ptr<InputWindow> window) {
  const auto type =
      format == CodecFormat::kZstd ? arrow::Compression::ZSTD : arrow::Compression::BZ2;
  if (!arrow::util::Codec::IsAvailable(type)) {
    return Fail(Fault::kUsage,
                "this installation of Arrow cannot read " + std::string(NameOf(format)),
                {.object = input->name()}, "Compress the file by gzip, or not at all.");
  }
  if (ZstdWindowBytes(window->data()) > kMostWindowBytes) {
    return Fail(Fault::kInput, "the zstd data reaches back further than 128 MiB",
                {.object = input->name()},
                "Compress the file without --long, or with at most --long=27.");
  }
  ARROW_ASSIGN_OR_RAISE(const auto codec, arrow::util::Codec::Create(type));
  ARROW_ASSIGN_OR_RAISE(auto decompressor, codec->MakeDecompressor());
  return std::make_unique<CodecStream>(format, std::move(decompressor), std::move(input),
                                       std::move(window));
}

}  // namespace hayate::inflate
