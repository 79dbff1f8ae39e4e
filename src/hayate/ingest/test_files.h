#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "hayate/inflate/test_gzip.h"
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

  static std::string Gzip(const std::string& text) { return inflate::GzipOf(text); }

  std::vector<source::Object> Objects() const {
    return source::List(names_, dir_.string()).ValueOrDie();
  }

 private:
  std::filesystem::path dir_;
  std::vector<std::string> names_;
};

}  // namespace hayate::ingest
