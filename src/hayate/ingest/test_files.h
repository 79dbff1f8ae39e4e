#pragma once

#include <gtest/gtest.h>
#include <isa-l/igzip_lib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "hayate/source/source.h"

namespace hayate::ingest {

/// A directory of input files that is gone after the test.
class TestFiles {
 public:
  TestFiles() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "hayate-ingest-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  ~TestFiles() { std::filesystem::remove_all(dir_); }
  TestFiles(const TestFiles&) = delete;
  TestFiles& operator=(const TestFiles&) = delete;

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }

  /// Writes a file and adds it to the objects.
  void Add(const std::string& name, const std::string& bytes) {
    std::ofstream(Path(name), std::ios::binary) << bytes;
    names_.push_back(Path(name));
  }

  static std::string Gzip(const std::string& text) {
    isal_zstream stream{};
    isal_deflate_stateless_init(&stream);
    std::string out(text.size() + text.size() / 8 + 1024, '\0');
    stream.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uint32_t>(text.size());
    stream.next_out = reinterpret_cast<uint8_t*>(out.data());
    stream.avail_out = static_cast<uint32_t>(out.size());
    stream.gzip_flag = IGZIP_GZIP;
    EXPECT_EQ(isal_deflate_stateless(&stream), COMP_OK);
    out.resize(stream.total_out);
    return out;
  }

  std::vector<source::Object> Objects() const {
    return source::List(names_, dir_.string()).ValueOrDie();
  }

 private:
  std::filesystem::path dir_;
  std::vector<std::string> names_;
};

}  // namespace hayate::ingest
