#include "hayate/worker/signal_watch.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace hayate::worker {
namespace {

constexpr std::array<int, 3> kInterrupts = {SIGINT, SIGTERM, SIGHUP};

bool IsIgnored(int signal_number) {
  struct sigaction action{};
  return sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Result<std::unique_ptr<SignalWatch>> SignalWatch::Make() {
  auto watch = std::unique_ptr<SignalWatch>(new SignalWatch());
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kInterrupts) {
    if (!IsIgnored(number)) sigaddset(&set, number);
  }
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, &watch->before_); error != 0) {
    return FailErrno(error, "signals cannot be blocked");
  }
  watch->fd_ = FileDescriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!watch->fd_.valid()) {
    const int error = errno;
    pthread_sigmask(SIG_SETMASK, &watch->before_, nullptr);
    return FailErrno(error, "signals cannot be watched");
  }
  return watch;
}

SignalWatch::~SignalWatch() {
  if (!fd_.valid()) return;
  // What arrived and was not taken has been answered by whoever destroys us.
  while (Take() != 0) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int SignalWatch::Take() {
  signalfd_siginfo info{};
  ssize_t count = 0;
  do {
    count = read(fd_.get(), &info, sizeof(info));
  } while (count < 0 && errno == EINTR);
  return count == sizeof(info) ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace hayate::worker
