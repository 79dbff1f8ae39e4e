#include "hayate/job/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace hayate::job {
namespace {

std::string Holder(int fd) {
  std::array<char, 128> text{};
  const ssize_t count = pread(fd, text.data(), text.size() - 1, 0);
  return count > 0 ? std::string(text.data(), static_cast<size_t>(count)) : "another process";
}

// For whoever waits; the lock itself is the kernel's.
void SignHolder(int fd) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 16> clock{};
  std::strftime(clock.data(), clock.size(), "%H:%M:%S", &local);
  const std::string text =
      "process " + std::to_string(getpid()) + ", since " + std::string(clock.data());
  if (ftruncate(fd, 0) == 0) {
    // A full disk leaves the file empty: the waiting one then says "another process".
    [[maybe_unused]] const ssize_t written = pwrite(fd, text.data(), text.size(), 0);
  }
}

}  // namespace

Result<StoreLock> StoreLock::Take(const std::string& path, bool wait,
                                  const std::function<void(const std::string&)>& on_wait) {
  FileDescriptor fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!fd.valid()) return FailErrno(errno, "the store cannot be locked", {.object = path});
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return FailErrno(errno, "the store cannot be locked", {.object = path});
    }
    if (!wait) {
      return Fail(Fault::kBusy, "another run holds the store (" + Holder(fd.get()) + ")",
                  {.object = path}, "Wait for it to end, or leave out --no-wait to wait here.");
    }
    on_wait(Holder(fd.get()));
    while (flock(fd.get(), LOCK_EX) != 0) {
      if (errno != EINTR) {
        return FailErrno(errno, "the store cannot be locked", {.object = path});
      }
    }
  }
  SignHolder(fd.get());
  return StoreLock(std::move(fd));
}

}  // namespace hayate::job
