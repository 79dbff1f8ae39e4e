#include "errors.h"

#include <string>

namespace nb = nanobind;

namespace hayate::python {
namespace {

nb::str Text(std::string_view text) {
  // A message may quote damaged input: bytes that are no UTF-8 are shown as U+FFFD.
  PyObject* decoded =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (decoded == nullptr) throw nb::python_error();
  return nb::steal<nb::str>(decoded);
}

nb::dict WhereOf(const Where& where) {
  nb::dict out;
  if (!where.object.empty()) out["object"] = Text(where.object);
  if (where.byte) out["byte"] = *where.byte;
  if (where.row) out["row"] = *where.row;
  if (where.line) out["line"] = *where.line;
  if (!where.column.empty()) out["column"] = Text(where.column);
  if (!where.stage.empty()) out["stage"] = Text(where.stage);
  if (where.partition) out["partition"] = *where.partition;
  return out;
}

}  // namespace

void Raise(const Status& status) {
  nb::dict error;
  error["fault"] = Text(FaultName(FaultOf(status)));
  error["what"] = Text(status.message());
  if (const FaultDetail* detail = FaultDetail::Get(status)) {
    error["where"] = WhereOf(detail->where());
    error["fix"] = Text(detail->remedy());
  }
  nb::object exception = nb::module_::import_("hayate.errors").attr("from_json")(error);
  PyErr_SetObject(exception.type().ptr(), exception.ptr());
  throw nb::python_error();
}

}  // namespace hayate::python
