#include "hayate/csv/decode.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "hayate/csv/utf8.h"

namespace hayate::csv {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";
constexpr size_t kWindowBytes = 64 * 1024;
// Room for what iconv holds back of one call and writes in the next: glibc's TSCII writes a wrong
// letter after it has run out of room.
constexpr size_t kMostHeldBytes = 64;

bool IsUtf8Name(const std::string& name) {
  return name == "UTF-8" || name == "UTF8" || name == "UTF-8-SIG";
}

// As iconv spells most names: upper case with hyphens.
std::string Upper(std::string name) {
  for (char& c : name) {
    c = c == '_' || c == ' ' ? '-' : static_cast<char>(std::toupper(static_cast<uint8_t>(c)));
  }
  return name;
}

// An open conversion of glibc, which knows every encoding that files come in and is kept with the
// system.
class Converter {
 public:
  explicit Converter(const std::string& encoding) {
    const std::string name = Upper(encoding);
    std::string plain = name;
    std::erase(plain, '-');
    // "latin-1" is LATIN1, "utf-16-le" UTF16LE or UTF-16LE, "shift-jis" SHIFTJIS.
    const std::string joined = name.starts_with("UTF-") ? "UTF-" + plain.substr(3) : plain;
    for (const std::string& spelling : {name, plain, joined}) {
      handle_ = iconv_open("UTF-8", spelling.c_str());
      if (is_open()) break;
    }
    is_shift_jis_ = plain == "SHIFTJIS" || plain == "SJIS" || plain == "CSSHIFTJIS";
    wide_ = plain.starts_with("UTF16") || plain.starts_with("UCS2")   ? 2
            : plain.starts_with("UTF32") || plain.starts_with("UCS4") ? 4
                                                                      : 1;
  }
  ~Converter() {
    if (is_open()) iconv_close(handle_);
  }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;

  bool is_open() const { return handle_ != reinterpret_cast<iconv_t>(-1); }
  bool is_shift_jis() const { return is_shift_jis_; }
  /// Bytes that are left out together where they are no text.
  size_t unit_bytes() const { return wide_; }

  /// As iconv: 0, or the error number.
  int Convert(std::string_view* in, std::span<uint8_t>* out) {
    auto* from = const_cast<char*>(in->data());
    auto* to = reinterpret_cast<char*>(out->data());
    size_t in_left = in->size();
    size_t out_left = out->size();
    const bool failed = iconv(handle_, &from, &in_left, &to, &out_left) == static_cast<size_t>(-1);
    const int error = failed ? errno : 0;
    in->remove_prefix(in->size() - in_left);
    *out = out->last(out_left);
    return error;
  }

  /// Appends the letter that is held back, if there is one, and begins anew; only for the end of
  /// the text, as the order of bytes and shifts are forgotten. Hebrew and Vietnamese encodings hold
  /// a letter back for the mark that may follow.
  void Finish(std::string* out) {
    std::array<char, kMostHeldBytes> room;
    char* to = room.data();
    size_t left = room.size();
    iconv(handle_, nullptr, nullptr, &to, &left);
    out->append(room.data(), room.size() - left);
  }

 private:
  iconv_t handle_ = reinterpret_cast<iconv_t>(-1);
  size_t wide_ = 1;
  bool is_shift_jis_ = false;
};

// In glibc's Shift_JIS, 5C is the yen sign and 7E the overline, as in JIS X 0201; in Python's, and
// in files, they are ASCII. Nothing else becomes these two.
void UseAsciiInShiftJis(std::string* text, size_t from) {
  constexpr std::array<std::pair<std::string_view, char>, 2> kOfJis = {
      {{"\xc2\xa5", '\\'}, {"\xe2\x80\xbe", '~'}}};
  for (const auto& [jis, ascii] : kOfJis) {
    for (size_t at = text->find(jis, from); at != std::string::npos; at = text->find(jis, at)) {
      text->replace(at, jis.size(), 1, ascii);
    }
  }
}

// Text that is read, and not decoded yet.
class Undecoded {
 public:
  explicit Undecoded(ByteStream* input) : input_(input), bytes_(kWindowBytes) {}

  std::string_view text() const { return {bytes_.data() + begin_, end_ - begin_}; }
  bool at_end() const { return at_end_; }
  /// Of text(), in all of the input.
  int64_t offset() const { return passed_ + static_cast<int64_t>(begin_); }

  void Drop(size_t bytes) { begin_ += bytes; }

  /// More behind what there is; at_end afterwards if there is none.
  Status Fill() {
    std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
    passed_ += static_cast<int64_t>(begin_);
    end_ -= begin_;
    begin_ = 0;
    ARROW_ASSIGN_OR_RAISE(
        const int64_t n,
        input_->Read({reinterpret_cast<uint8_t*>(bytes_.data()) + end_, bytes_.size() - end_}));
    at_end_ = n == 0;
    end_ += static_cast<size_t>(n);
    return Status::OK();
  }

 private:
  ByteStream* const input_;
  std::vector<char> bytes_;
  size_t begin_ = 0;
  size_t end_ = 0;
  int64_t passed_ = 0;
  bool at_end_ = false;
};

// Decodes into a buffer of its own, which is handed out in whatever pieces are asked for.
class DecodedStream : public ByteStream {
 public:
  explicit DecodedStream(std::unique_ptr<ByteStream> input)
      : input_(std::move(input)), undecoded_(input_.get()) {}

  Result<int64_t> Read(std::span<uint8_t> out) override {
    if (out.empty()) return Fail(Fault::kInternal, "a read of no bytes", {.object = name()});
    while (given_ == decoded_.size()) {
      decoded_.clear();
      given_ = 0;
      ARROW_RETURN_NOT_OK(error_);
      if (undecoded_.at_end() && undecoded_.text().empty()) return 0;
      // An error comes behind the text before it.
      if (!undecoded_.at_end()) error_ = undecoded_.Fill();
      if (error_.ok()) error_ = Decode(&undecoded_, &decoded_);
    }
    const size_t n = std::min(out.size(), decoded_.size() - given_);
    std::memcpy(out.data(), decoded_.data() + given_, n);
    given_ += n;
    return static_cast<int64_t>(n);
  }

  const std::string& name() const override { return input_->name(); }

 protected:
  /// Appends to `out` what `in` holds, all of it at the end, else but for a sequence that goes on.
  virtual Status Decode(Undecoded* in, std::string* out) = 0;

 private:
  const std::unique_ptr<ByteStream> input_;
  Undecoded undecoded_;
  std::string decoded_;
  size_t given_ = 0;
  Status error_;
};

class IconvStream : public DecodedStream {
 public:
  IconvStream(std::unique_ptr<ByteStream> input, const std::string& encoding, EncodingErrors errors)
      : DecodedStream(std::move(input)),
        encoding_(encoding),
        errors_(errors),
        converter_(encoding) {}

 private:
  Status Decode(Undecoded* in, std::string* out) override {
    while (!in->text().empty()) {
      std::string_view left = in->text();
      const size_t size = out->size();
      out->resize(size + kMostHeldBytes + 4 * left.size());
      std::span<uint8_t> room(reinterpret_cast<uint8_t*>(out->data()) + size, out->size() - size);
      const int error = converter_.Convert(&left, &room);
      out->resize(out->size() - room.size());
      if (converter_.is_shift_jis()) UseAsciiInShiftJis(out, size);
      // glibc's UHC stands behind a bad pair, which may end the window.
      if (error == EILSEQ && left.empty()) left = in->text().substr(in->text().size() - 1);
      in->Drop(in->text().size() - left.size());
      if (error == EINVAL && !in->at_end()) return Status::OK();  // the sequence goes on
      if (error == EILSEQ || error == EINVAL) {
        if (errors_ == EncodingErrors::kStrict) return Undecodable(*in);
        out->append(kReplacement);
        in->Drop(std::min(converter_.unit_bytes(), left.size()));
      } else if (error != 0 && error != E2BIG) {
        return FailErrno(error, "cannot decode text", {.object = name()});
      }
    }
    if (in->at_end()) converter_.Finish(out);
    return Status::OK();
  }

  Status Undecodable(const Undecoded& in) const {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<uint8_t>(in.text().front());
    return Fail(Fault::kInput,
                "the text is not " + encoding_ + ": byte 0x" + kHex[byte >> 4] + kHex[byte & 0xf] +
                    " at offset " + std::to_string(in.offset()) + " of the text",
                {.object = name()},
                "Name the encoding that the file has in encoding=, or say "
                "encoding_errors=\"replace\".");
  }

  const std::string encoding_;
  const EncodingErrors errors_;
  Converter converter_;
};

class RepairedUtf8Stream : public DecodedStream {
 public:
  using DecodedStream::DecodedStream;

 private:
  Status Decode(Undecoded* in, std::string* out) override {
    // Asked once: IsUtf8 goes through all of the window, FindInvalidUtf8 to the first bad byte.
    if (IsUtf8(in->text())) {
      out->append(in->text());
      in->Drop(in->text().size());
      return Status::OK();
    }
    while (!in->text().empty()) {
      const std::string_view text = in->text();
      const int64_t bad = FindInvalidUtf8(text);
      const size_t good = bad < 0 ? text.size() : static_cast<size_t>(bad);
      out->append(text.substr(0, good));
      in->Drop(good);
      if (bad < 0) return Status::OK();
      const size_t part = SubpartLength(text.substr(good));
      if (good + part == text.size() && !in->at_end() && MayGoOn(text.substr(good))) {
        return Status::OK();
      }
      out->append(kReplacement);
      in->Drop(part);
    }
    return Status::OK();
  }

  // Whether bytes could follow that make a sequence of this, all of which is the start of one.
  static bool MayGoOn(std::string_view start) {
    for (const std::string_view rest : {"\x80", "\xa0", "\x90", "\x80\x80", "\xa0\x80", "\x90\x80",
                                        "\x80\x80\x80", "\x90\x80\x80"}) {
      if (FindInvalidUtf8(std::string(start).append(rest)) < 0) return true;
    }
    return false;
  }

  // Of an ill-formed sequence, the bytes that stand for one U+FFFD: the longest start of a
  // well-formed one, at least one byte.
  static size_t SubpartLength(std::string_view text) {
    size_t length = 1;
    while (length < text.size() && length < 3 && MayGoOn(text.substr(0, length + 1))) ++length;
    return length;
  }
};

}  // namespace

Status CheckEncoding(const std::string& encoding) {
  // An empty name is that of the locale to iconv.
  const bool known = !encoding.empty() && Converter(encoding).is_open();
  if (IsUtf8Name(Upper(encoding)) || known) return Status::OK();
  return Fail(Fault::kUsage, "the encoding \"" + encoding + "\" is not known on this machine", {},
              "Use a name that `iconv -l` lists, or convert the file to UTF-8.");
}

Result<std::unique_ptr<ByteStream>> MakeDecodedStream(std::unique_ptr<ByteStream> input,
                                                      const std::string& encoding,
                                                      EncodingErrors errors) {
  if (!IsUtf8Name(Upper(encoding))) {
    ARROW_RETURN_NOT_OK(CheckEncoding(encoding));
    return std::make_unique<IconvStream>(std::move(input), encoding, errors);
  }
  if (errors == EncodingErrors::kStrict) return input;
  return std::make_unique<RepairedUtf8Stream>(std::move(input));
}

}  // namespace hayate::csv
