#pragma once

#include <algorithm>

namespace hayate::cloud {

/// How many connections to use, found by trying: hill climbing in powers of two on the bytes a
/// second that each number brings. More stay unless they bring less: where the line is full they
/// cost little, and where packets get lost they are what fills it again.
class ConnectionCount {
 public:
  ConnectionCount(int least, int first, int most)
      : least_(least), most_(most), count_(std::clamp(first, least, most)) {}

  int count() const { return count_; }

  /// A time has passed in which all connections were busy and brought so many bytes a second.
  void Measured(double bytes_per_second) {
    reduced_ = false;
    if (hold_ > 0) {
      --hold_;
      return;
    }
    if (trying_ && bytes_per_second < kLess * rate_before_) {
      count_ = count_before_;
      Rest();
      return;
    }
    if (count_ == most_) {
      Rest();
      return;
    }
    rate_before_ = bytes_per_second;
    count_before_ = count_;
    count_ = std::min(2 * count_, most_);
    trying_ = true;
  }

  /// The service has asked for less. Said by many connections at once, it is taken as said once.
  void TooMany() {
    if (reduced_) return;
    reduced_ = true;
    count_ = std::max(least_, count_ / 2);
    Rest();
  }

 private:
  static constexpr double kLess = 0.95;
  static constexpr int kRest = 20;  // measurements until it is tried again: networks change

  void Rest() {
    trying_ = false;
    hold_ = kRest;
  }

  const int least_;
  const int most_;
  int count_;
  int count_before_ = 0;
  double rate_before_ = 0;
  bool trying_ = false;
  int hold_ = 0;
  bool reduced_ = false;  // since the last measurement
};

}  // namespace hayate::cloud
