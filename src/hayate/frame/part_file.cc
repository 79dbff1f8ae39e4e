#include "hayate/frame/part_file.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <filesystem>
#include <optional>

#include "hayate/frame/dictionary_merge.h"
#include "hayate/frame/ipc_segment.h"
#include "hayate/frame/null_slots.h"
#include "hayate/frame/widening.h"

namespace hayate::frame {

struct PartFile::State {
  std::string path;
  Part part;
  std::optional<WideningLimits> limits;
  // Almost always one. Batches with other dictionaries begin another, and all are merged at the
  // end.
  std::vector<std::unique_ptr<IpcSegment>> segments;
};

PartFile::PartFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
PartFile::~PartFile() = default;

Result<std::unique_ptr<PartFile>> PartFile::Make(const std::string& dir, int64_t number,
                                                 std::shared_ptr<arrow::Schema> schema) {
  auto state = std::make_unique<State>();
  state->part.number = number;
  state->part.file = PartFileName(number, ".arrow");
  state->limits.emplace(schema->num_fields());
  state->path = (std::filesystem::path(dir) / state->part.file).string();
  ARROW_ASSIGN_OR_RAISE(state->segments.emplace_back(), IpcSegment::Make(state->path, schema));
  state->part.schema = std::move(schema);
  return std::unique_ptr<PartFile>(new PartFile(std::move(state)));
}

Status PartFile::Write(const arrow::RecordBatch& batch) {
  Part& part = state_->part;
  if (!batch.schema()->Equals(*part.schema, /*check_metadata=*/false)) {
    return Fail(Fault::kInternal,
                "a batch has another schema than its part:\n" + batch.schema()->ToString() +
                    "\nbeside\n" + part.schema->ToString(),
                {.object = state_->path});
  }
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  columns.reserve(static_cast<size_t>(batch.num_columns()));
  for (int i = 0; i < batch.num_columns(); ++i) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), WithNullSlots(batch.column_data(i)));
  }
  const auto filled = arrow::RecordBatch::Make(part.schema, batch.num_rows(), std::move(columns));
  if (!state_->segments.back()->Takes(*filled)) {
    ARROW_RETURN_NOT_OK(state_->segments.back()->Close());
    ARROW_ASSIGN_OR_RAISE(state_->segments.emplace_back(),
                          IpcSegment::Make(state_->path, part.schema));
  }
  ARROW_RETURN_NOT_OK(state_->segments.back()->Write(*filled));
  state_->limits->Add(batch);
  part.rows += batch.num_rows();
  return Status::OK();
}

// Writes all segments anew as one, with one dictionary a column.
Status PartFile::MergeSegments() {
  std::vector<std::vector<std::shared_ptr<arrow::RecordBatch>>> batches;
  std::vector<std::shared_ptr<arrow::RecordBatch>> samples;
  for (const auto& segment : state_->segments) {
    ARROW_ASSIGN_OR_RAISE(batches.emplace_back(), segment->Read());
    samples.push_back(batches.back().front());  // a segment begins with a batch
  }
  ARROW_ASSIGN_OR_RAISE(const auto merge, DictionaryMerge::Make(state_->part.schema, samples));
  ARROW_ASSIGN_OR_RAISE(auto merged, IpcSegment::Make(state_->path, merge.schema()));
  for (size_t i = 0; i < batches.size(); ++i) {
    for (const auto& batch : batches[i]) {
      ARROW_ASSIGN_OR_RAISE(const auto moved, merge.Apply(i, *batch));
      ARROW_RETURN_NOT_OK(merged->Write(*moved));
    }
  }
  ARROW_RETURN_NOT_OK(merged->Close());
  state_->part.schema = merge.schema();
  state_->segments.clear();
  state_->segments.push_back(std::move(merged));
  return Status::OK();
}

Result<Part> PartFile::Finish() {
  ARROW_RETURN_NOT_OK(state_->segments.back()->Close());
  if (state_->segments.size() > 1) ARROW_RETURN_NOT_OK(MergeSegments());
  IpcSegment& file = *state_->segments.front();
  ARROW_RETURN_NOT_OK(file.Commit());
  Part& part = state_->part;
  part.bytes = file.bytes();
  part.checksum = file.Checksum();
  state_->limits->RecordIn(&part);
  return part;
}

}  // namespace hayate::frame
