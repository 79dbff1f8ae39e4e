#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>

#include "hayate/frame/dictionary_merge.h"
#include "hayate/output/writers.h"

namespace hayate::output {

Status WriteArrow(const frame::FrameReader& frame, arrow::io::OutputStream* sink) {
  // A file has one dictionary a column; the parts may have several.
  ARROW_ASSIGN_OR_RAISE(const auto dictionaries,
                        frame::DictionaryMerge::Make(frame, frame.manifest().schema));
  ARROW_ASSIGN_OR_RAISE(const auto writer, arrow::ipc::MakeFileWriter(sink, dictionaries.schema()));
  for (int64_t part = 0; part < frame.num_parts(); ++part) {
    ARROW_ASSIGN_OR_RAISE(const int64_t batches, frame.NumBatches(part));
    for (int64_t i = 0; i < batches; ++i) {
      ARROW_ASSIGN_OR_RAISE(auto batch, frame.ReadBatch(part, i));
      if (batch->num_rows() == 0) continue;
      ARROW_ASSIGN_OR_RAISE(batch, dictionaries.Apply(static_cast<size_t>(part), *batch));
      ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
    }
  }
  return writer->Close();
}

}  // namespace hayate::output
