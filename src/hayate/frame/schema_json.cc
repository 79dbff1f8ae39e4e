#include "hayate/frame/schema_json.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/type.h>
#include <arrow/util/base64.h>

namespace hayate::frame {

Json SchemaToJson(const arrow::Schema& schema) {
  // Fails only where a part of this schema could not have been written either.
  const auto message = arrow::ipc::SerializeSchema(schema).ValueOrDie();
  Json columns = Json::array();
  for (const auto& field : schema.fields()) {
    columns.push_back({field->name(), field->type()->ToString()});
  }
  return Json{{"columns", std::move(columns)},
              {"ipc", arrow::util::base64_encode(std::string_view(
                          reinterpret_cast<const char*>(message->data()), message->size()))}};
}

Result<std::shared_ptr<arrow::Schema>> SchemaFromJson(const Json& json, const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(const auto text, Member<std::string>(json, "ipc", name));
  // Older Arrow returns the string itself, newer a Result of it; Result takes both.
  const Result<std::string> message = arrow::util::base64_decode(text);
  if (!message.ok()) {
    return Fail(Fault::kInput, "the schema is not base64: " + message.status().message(),
                {.object = name}, "Remove the frame; it is made again.");
  }
  arrow::io::BufferReader reader(arrow::Buffer::FromString(*message));
  arrow::ipc::DictionaryMemo dictionaries;
  auto schema = arrow::ipc::ReadSchema(&reader, &dictionaries);
  if (!schema.ok()) {
    return Fail(Fault::kInput, "the schema is damaged: " + schema.status().message(),
                {.object = name}, "Remove the frame; it is made again.");
  }
  return *schema;
}

}  // namespace hayate::frame
