#include <arrow/type.h>

#include "hayate/base/file.h"
#include "hayate/frame/part_file.h"
#include "hayate/frame/sidecar.h"
#include "hayate/frame/writer.h"

namespace hayate::frame {

class PartWriter::Impl {
 public:
  std::string dir;
  int64_t number = 0;
  std::unique_ptr<PartFile> file;
  std::vector<std::pair<int64_t, int64_t>> groups;
  Json extra = Json::object();
  Json resume = Json::object();
};

PartWriter::PartWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PartWriter::~PartWriter() = default;

Result<std::unique_ptr<PartWriter>> PartWriter::Make(const std::string& dir, int64_t number,
                                                     std::shared_ptr<arrow::Schema> schema) {
  ARROW_RETURN_NOT_OK(MakeDirectories(dir));
  auto impl = std::make_unique<Impl>();
  impl->dir = dir;
  impl->number = number;
  ARROW_ASSIGN_OR_RAISE(impl->file, PartFile::Make(dir, number, std::move(schema)));
  return std::unique_ptr<PartWriter>(new PartWriter(std::move(impl)));
}

Status PartWriter::Write(const arrow::RecordBatch& batch) { return impl_->file->Write(batch); }

void PartWriter::set_groups(std::vector<std::pair<int64_t, int64_t>> groups) {
  impl_->groups = std::move(groups);
}

void PartWriter::set_extra(Json extra) { impl_->extra = std::move(extra); }

void PartWriter::set_resume(Json resume) { impl_->resume = std::move(resume); }

Result<Part> PartWriter::Finish() {
  // An older part of this number stops to exist before its file is replaced: a sidecar never stands
  // beside a file that it does not describe.
  ARROW_RETURN_NOT_OK(RemoveSidecar(impl_->dir, impl_->number));
  ARROW_ASSIGN_OR_RAISE(Part part, impl_->file->Finish());
  part.groups = std::move(impl_->groups);
  part.extra = std::move(impl_->extra);
  part.resume = std::move(impl_->resume);
  ARROW_RETURN_NOT_OK(WriteSidecar(impl_->dir, part));
  return part;
}

}  // namespace hayate::frame
