#include "frame.h"

#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <utility>
#include <vector>

#include "arrow_table.h"
#include "errors.h"
#include "hayate/base/json.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/writer.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace hayate::python {
namespace {

using Groups = std::vector<std::pair<int64_t, int64_t>>;
using frame::FrameReader;

Json Parse(const std::string& text, const char* name) { return Value(ParseJson(text, name)); }

Result<frame::Part> WriteBatches(const std::string& dir, int64_t number,
                                 arrow::RecordBatchReader& rows, Groups groups, Json extra) {
  ARROW_ASSIGN_OR_RAISE(auto writer, frame::PartWriter::Make(dir, number, rows.schema()));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(auto batch, rows.Next());
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(writer->Write(*batch));
  }
  writer->set_groups(std::move(groups));
  writer->set_extra(std::move(extra));
  return writer->Finish();
}

std::string WritePart(const std::string& dir, int64_t number, nb::handle table, Groups groups,
                      const std::string& extra) {
  Json parsed = Parse(extra, "extra");
  auto rows = ImportStream(table);
  return ToCanonicalText(frame::ToJson(Value(WithoutGil([&] {
    auto part = WriteBatches(dir, number, *rows, std::move(groups), std::move(parsed));
    rows.reset();
    return part;
  }))));
}

std::string AdoptPart(const std::string& dir, int64_t number, const std::string& file,
                      const std::string& codec, const std::string& extra) {
  frame::Part part;
  part.number = number;
  part.file = file;
  part.codec = codec;
  part.extra = Parse(extra, "extra");
  return ToCanonicalText(
      frame::ToJson(Value(WithoutGil([&] { return frame::AdoptPart(dir, std::move(part)); }))));
}

std::string Commit(const std::string& dir, const std::string& name, int64_t expected_parts) {
  frame::CommitOptions options;
  options.name = name;
  options.expected_parts = expected_parts;
  options.durable = false;  // what the package commits itself is gone at the end of the call
  return ToCanonicalText(
      frame::ToJson(Value(WithoutGil([&] { return frame::Commit(dir, options); }))));
}

ArrowTable ReadPartition(const FrameReader& self, int64_t partition) {
  return ArrowTable(Value(WithoutGil([&]() -> Result<std::shared_ptr<arrow::Table>> {
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    for (int64_t part = 0; part < self.num_parts(); ++part) {
      ARROW_ASSIGN_OR_RAISE(auto batch, self.ReadBatch(part, partition));
      batches.push_back(std::move(batch));
    }
    return arrow::Table::FromRecordBatches(self.manifest().schema, batches);
  })));
}

ArrowTable ReadBatch(const FrameReader& self, int64_t part, int64_t batch) {
  return ArrowTable(Value(WithoutGil([&]() -> Result<std::shared_ptr<arrow::Table>> {
    ARROW_ASSIGN_OR_RAISE(auto rows, self.ReadBatch(part, batch));
    return arrow::Table::FromRecordBatches(self.manifest().schema, {rows});
  })));
}

ArrowTable ReadPart(const FrameReader& self, int64_t part) {
  return ArrowTable(Value(WithoutGil([&]() -> Result<std::shared_ptr<arrow::Table>> {
    ARROW_ASSIGN_OR_RAISE(auto batches, self.ReadPart(part));
    return arrow::Table::FromRecordBatches(self.manifest().schema, batches);
  })));
}

void BindReader(nb::module_& module) {
  nb::class_<FrameReader>(module, "FrameReader", "A committed frame, mapped read-only.")
      .def_static(
          "open",
          [](const std::string& dir) {
            return Value(WithoutGil([&] { return FrameReader::Open(dir); }));
          },
          "dir"_a)
      .def(
          "manifest",
          [](const FrameReader& self) { return ToCanonicalText(frame::ToJson(self.manifest())); },
          "The manifest as JSON.")
      .def(
          "read_all",
          [](const FrameReader& self) {
            return ArrowTable(Value(WithoutGil([&] { return self.ReadTable(); })));
          },
          "Every row, in frame order.")
      .def(
          "read_rows",
          [](const FrameReader& self, int64_t start, int64_t stop) {
            return ArrowTable(Value(WithoutGil([&] { return self.ReadRows(start, stop); })));
          },
          "start"_a, "stop"_a, "Rows [start, stop) in frame order.")
      .def("read_partition", &ReadPartition, "partition"_a,
           "Batch `partition` of every part, in part order.")
      .def("read_batch", &ReadBatch, "part"_a, "batch"_a, "One batch of one part.")
      .def("read_part", &ReadPart, "part"_a,
           "The rows of one part, conformed to the frame's schema.");
}

}  // namespace

void BindFrame(nb::module_& module) {
  BindReader(module);
  module.def(
      "write_part", &WritePart, "dir"_a, "number"_a, "table"_a, "groups"_a = Groups(),
      "extra"_a = "{}",
      nb::sig("def write_part(dir: str, number: int, table: object, "
              "groups: Sequence[tuple[int, int]] = (), extra: str = '{}') -> str"),
      "Writes the rows of an object with __arrow_c_stream__ as a part; its sidecar as JSON.");
  module.def(
      "adopt_part", &AdoptPart, "dir"_a, "number"_a, "file"_a, "codec"_a, "extra"_a = "{}",
      "Records a file that lies in `dir` as a part that holds a value; its sidecar as JSON.");
  module.def("commit", &Commit, "dir"_a, "name"_a, "expected_parts"_a = -1,
             "Writes the manifest over the finished parts of `dir`, without waiting for the disk; "
             "returns it as JSON.");
  module.def(
      "read_manifest",
      [](const std::string& dir) {
        return ToCanonicalText(
            frame::ToJson(Value(WithoutGil([&] { return frame::ReadManifest(dir); }))));
      },
      "dir"_a, "The manifest of a frame as JSON.");
  module.def(
      "consolidate",
      [](const std::string& dir, int threads) {
        return Value(WithoutGil([&] { return frame::Consolidate(dir, threads); }));
      },
      "dir"_a, "threads"_a, "One file of one batch for all rows of a frame; its path.");
  module.def(
      "fresh_whole",
      [](const std::string& dir) { return WithoutGil([&] { return frame::FreshWhole(dir); }); },
      "dir"_a, "The path of that file if it is there and not of another boot, else empty.");
  module.def(
      "verify",
      [](const std::string& dir) { Check(WithoutGil([&] { return frame::Verify(dir); })); },
      "dir"_a, "Recomputes the checksum of every part.");
}

}  // namespace hayate::python
