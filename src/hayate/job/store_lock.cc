#include "hayate/job/store_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "hayate/worker/signal_watch.h"

namespace hayate::job {
namespace {

constexpr int kBetweenTriesMs = 100;

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

// The lock is polled, because a blocking flock(2) could not be left in order: as a container's
// first process we have no default action for signals.
Status WaitForLock(int fd, const std::string& path,
                   const std::function<void(const std::string&)>& on_wait, int* signal) {
  ARROW_ASSIGN_OR_RAISE(const auto signals, worker::SignalWatch::Make());
  on_wait(Holder(fd));
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return FailErrno(errno, "the store cannot be locked", {.object = path});
    }
    pollfd watched{signals->fd(), POLLIN, 0};
    if (poll(&watched, 1, kBetweenTriesMs) < 0 && errno != EINTR) {
      return FailErrno(errno, "signals cannot be watched");
    }
    *signal = signals->Take();
    if (*signal != 0) {
      return Fail(Fault::kInterrupted, "the wait for another run was interrupted", {},
                  "Run the same command again.");
    }
  }
  return Status::OK();
}

}  // namespace

Result<StoreLock> StoreLock::Take(const std::string& path, bool wait,
                                  const std::function<void(const std::string&)>& on_wait,
                                  int* signal) {
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
    ARROW_RETURN_NOT_OK(WaitForLock(fd.get(), path, on_wait, signal));
  }
  SignHolder(fd.get());
  return StoreLock(std::move(fd));
}

}  // namespace hayate::job
