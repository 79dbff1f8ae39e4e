#include "hayate/ingest/kept_parts.h"

#include "hayate/base/hash.h"
#include "hayate/csv/classify.h"
#include "hayate/csv/infer.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/ingest.h"

namespace hayate::ingest {
namespace {

constexpr auto kInexact = csv::CellClass::kInexactInteger;

Json PlacesOfInexact(const CsvTypes& types) {
  Json places = Json::object();
  for (size_t column = 0; column < types.size(); ++column) {
    const csv::ColumnEvidence evidence = types.evidence(column);
    if ((evidence.classes() & csv::SetOf(kInexact)) == 0) continue;
    const csv::CellPlace& place = evidence.first(kInexact);
    places[types.name(column)] = {{"shard", place.shard},
                                  {"row", place.row},
                                  {"object", place.object},
                                  {"value", place.value}};
  }
  return places;
}

// Only of the part's own shard: the others may be other files by now.
Status NoteInexact(const Json& places, const frame::Part& part, CsvTypes* types) {
  const std::string& name = part.file;
  for (size_t column = 0; column < types->size(); ++column) {
    const auto found = places.find(types->name(column));
    if (found == places.end()) continue;
    csv::CellPlace place;
    ARROW_ASSIGN_OR_RAISE(place.shard, Member<int64_t>(*found, "shard", name));
    ARROW_ASSIGN_OR_RAISE(place.row, Member<int64_t>(*found, "row", name));
    ARROW_ASSIGN_OR_RAISE(place.object, Member<std::string>(*found, "object", name));
    ARROW_ASSIGN_OR_RAISE(place.value, Member<std::string>(*found, "value", name));
    if (place.shard != part.number) continue;
    csv::ColumnEvidence evidence;
    evidence.Add(kInexact, std::move(place));
    types->Note(column, evidence);
  }
  return Status::OK();
}

}  // namespace

std::string OptionsDigest(const csv::ReadOptions& options) {
  Json json = csv::ToJson(options);
  json.erase("block_bytes");
  json.erase("sample_bytes");
  return HashText(ToCanonicalText(json));
}

Json PartResume(const std::vector<source::Object>& objects, int64_t shard, const PassState& pass) {
  return {{"object", source::ToJson(objects[static_cast<size_t>(shard)])},
          {"semantics", kIngestSemantics},
          {"options", pass.options},
          {"states", pass.states},
          {"inexact", pass.types == nullptr ? Json::object() : PlacesOfInexact(*pass.types)},
          {"rejected", pass.rejected == nullptr ? Json::array() : pass.rejected->ToJson(shard)}};
}

Result<std::vector<KeptPart>> FindKeptParts(const std::string& dir,
                                            const std::vector<source::Object>& objects,
                                            const PassState& pass,
                                            const std::function<bool(int64_t shard)>& may_keep) {
  ARROW_ASSIGN_OR_RAISE(const auto parts, frame::FinishedParts(dir));
  std::vector<KeptPart> kept;
  for (const frame::Part& part : parts) {
    if (part.number < 0 || part.number >= static_cast<int64_t>(objects.size())) continue;
    if (!may_keep(part.number)) continue;
    const Json& said = part.resume;
    const Json expected_object = source::ToJson(objects[static_cast<size_t>(part.number)]);
    const auto says = [&](const char* member, const Json& value) {
      return said.is_object() && said.contains(member) && said[member] == value;
    };
    if (!says("object", expected_object) || !says("semantics", kIngestSemantics) ||
        !says("options", pass.options) || !says("states", pass.states)) {
      continue;
    }
    if (pass.types != nullptr && said.contains("inexact")) {
      ARROW_RETURN_NOT_OK(NoteInexact(said["inexact"], part, pass.types));
    }
    if (pass.rejected != nullptr && said.contains("rejected")) {
      ARROW_RETURN_NOT_OK(pass.rejected->Restore(part.number, said["rejected"], part.file));
    }
    kept.push_back({.shard = part.number, .rows = part.rows});
  }
  return kept;
}

}  // namespace hayate::ingest
