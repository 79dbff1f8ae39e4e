#include "hayate/frame/sparse_sink.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

namespace hayate::frame {

Result<std::shared_ptr<ReservedAddresses>> ReservedAddresses::Make(int64_t bytes) {
  std::shared_ptr<ReservedAddresses> reserved(new ReservedAddresses());
  reserved->size_ = bytes + kAlignmentBytes;  // mmap wants at least one byte
  void* base = mmap(nullptr, static_cast<size_t>(reserved->size_), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return FailErrno(errno, "cannot reserve addresses");
  reserved->base_ = static_cast<uint8_t*>(base);
  return reserved;
}

ReservedAddresses::~ReservedAddresses() {
  if (base_ != nullptr) munmap(base_, static_cast<size_t>(size_));
}

uint8_t* ReservedAddresses::Take(int64_t bytes) {
  uint8_t* address = base_ + taken_;
  taken_ += (bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
  return address;
}

bool ReservedAddresses::Contains(const void* address) const {
  const std::less<const void*> less;
  return !less(address, base_) && less(address, base_ + size_);
}

SparseSink::SparseSink(std::unique_ptr<AtomicFile> file,
                       std::shared_ptr<const ReservedAddresses> reserved)
    : file_(std::move(file)), reserved_(std::move(reserved)) {
  set_mode(arrow::io::FileMode::WRITE);
}

Result<std::shared_ptr<SparseSink>> SparseSink::Create(
    const std::string& path, std::shared_ptr<const ReservedAddresses> reserved) {
  ARROW_ASSIGN_OR_RAISE(auto file, AtomicFile::Create(path));
  return std::shared_ptr<SparseSink>(new SparseSink(std::move(file), std::move(reserved)));
}

Status SparseSink::Write(const void* data, int64_t nbytes) {
  if (reserved_->Contains(data)) {
    holes_.emplace(data, position_);
  } else {
    ARROW_RETURN_NOT_OK(Fill(position_, data, nbytes));
  }
  position_ += nbytes;
  return Status::OK();
}

Status SparseSink::Close() {
  closed_ = true;
  return Status::OK();
}

Result<int64_t> SparseSink::OffsetOf(const void* address) const {
  const auto hole = holes_.find(address);
  if (hole == holes_.end()) {
    return Fail(Fault::kInternal, "Arrow's writer has not written a buffer that it was given",
                {.object = file_->path()});
  }
  return hole->second;
}

Status SparseSink::Fill(int64_t offset, const void* data, int64_t nbytes) const {
  const auto* bytes = static_cast<const uint8_t*>(data);
  while (nbytes > 0) {
    const ssize_t n = pwrite(file_->fd(), bytes, static_cast<size_t>(nbytes), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "cannot write", {.object = file_->path()});
    bytes += n;
    offset += n;
    nbytes -= n;
  }
  return Status::OK();
}

}  // namespace hayate::frame
