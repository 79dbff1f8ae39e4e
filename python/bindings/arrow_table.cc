#include "arrow_table.h"

#include <arrow/c/abi.h>
#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "errors.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace hayate::python {
namespace {

constexpr char kStreamName[] = "arrow_array_stream";

void DeleteStream(void* pointer) noexcept {
  auto* stream = static_cast<ArrowArrayStream*>(pointer);
  // A consumer that took the stream over has set `release` to null.
  if (stream->release != nullptr) stream->release(stream);
  delete stream;
}

}  // namespace

nb::capsule ExportStream(std::shared_ptr<arrow::RecordBatchReader> reader) {
  auto stream = std::make_unique<ArrowArrayStream>();
  *stream = {};
  Check(arrow::ExportRecordBatchReader(std::move(reader), stream.get()));
  return nb::capsule(stream.release(), kStreamName, DeleteStream);
}

nb::capsule ArrowTable::Stream() const {
  return ExportStream(std::make_shared<arrow::TableBatchReader>(table_));
}

int64_t ArrowTable::num_rows() const { return table_->num_rows(); }

std::shared_ptr<arrow::RecordBatchReader> ImportStream(nb::handle object) {
  nb::object capsule = object.attr("__arrow_c_stream__")();
  void* pointer = PyCapsule_GetPointer(capsule.ptr(), kStreamName);
  if (pointer == nullptr) throw nb::python_error();
  return Value(arrow::ImportRecordBatchReader(static_cast<ArrowArrayStream*>(pointer)));
}

void BindArrowTable(nb::module_& module) {
  nb::class_<ArrowTable>(module, "ArrowTable", "Rows that cross by the Arrow C stream interface.")
      .def(
          "__arrow_c_stream__",
          [](const ArrowTable& self, const nb::object&) { return self.Stream(); },
          "requested_schema"_a = nb::none(),
          nb::sig("def __arrow_c_stream__(self, requested_schema: object | None = None) -> object"))
      .def_prop_ro("num_rows", &ArrowTable::num_rows);
}

}  // namespace hayate::python
