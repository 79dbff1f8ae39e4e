#pragma once

#include <memory>
#include <string>

#include "hayate/base/byte_stream.h"
#include "hayate/base/status.h"

namespace hayate::csv {

/// What bytes become that are no text of their encoding.
enum class EncodingErrors {
  kStrict,   ///< Fault::kInput
  kReplace,  ///< U+FFFD
};

/// Whether this machine can decode it. Names are those of Python and of iconv, in any case, with _
/// or - ("utf-8", "latin-1", "cp1252", "utf-16", "cp932"). Fault::kUsage if it cannot.
Status CheckEncoding(const std::string& encoding);

/// `input` in `encoding` → UTF-8. UTF-8 that is to be strict is handed through as it is: converters
/// check it, and name the value. What is not of another encoding is Fault::kInput naming the byte,
/// and its offset in what `input` gives. With kReplace one U+FFFD stands for each byte (two in
/// UTF-16, four in UTF-32) that cannot be decoded; in UTF-8 for each maximal part of a sequence
/// (Unicode 15, 3.9, U+FFFD substitution of maximal subparts), as in Python.
Result<std::unique_ptr<ByteStream>> MakeDecodedStream(std::unique_ptr<ByteStream> input,
                                                      const std::string& encoding,
                                                      EncodingErrors errors);

}  // namespace hayate::csv
