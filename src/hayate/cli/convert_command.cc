#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "hayate/base/file.h"
#include "hayate/base/hash.h"
#include "hayate/base/limits.h"
#include "hayate/cli/command.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/ingest.h"
#include "hayate/ingest/quarantine.h"
#include "hayate/output/output.h"
#include "hayate/source/source.h"

namespace hayate::cli {
namespace {

namespace fs = std::filesystem;

struct ConvertArguments {
  std::vector<std::string> paths;  // IN…, OUT
  std::vector<std::string> schema;
  // Options of CSV by name, as in a job's description; those that are given.
  std::map<std::string, std::optional<std::string>> csv;
  std::optional<int64_t> skip_rows;
  std::vector<std::string> null_values;
  bool no_header = false;
  bool detect = false;
  std::string bad_rows;
  int threads = 0;
};

volatile sig_atomic_t g_interrupted = 0;

void OnSignal(int number) { g_interrupted = number; }

// A folder for frames in the making, beside OUT; gone at the end.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& out) {
    const fs::path path = fs::absolute(out);
    path_ = (path.parent_path() /
             ("." + path.filename().string() + ".hayate-" + std::to_string(getpid())))
                .string();
  }
  ~ScratchFolder() {
    const Status removed = RemoveTree(path_);
    if (!removed.ok()) std::fputs(FormatForUser(removed).c_str(), stderr);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool IsArrow(const std::string& path) {
  return path.ends_with(".arrow") || path.ends_with(".feather");
}

bool IsFrameOut(const std::string& out) { return !output::FormatOfPath(out).ok(); }

// The first of these options of CSV that is given; empty if none is.
std::string FirstGiven(const ConvertArguments& arguments, const std::set<std::string>& names) {
  std::map<std::string, bool> given = {{"schema", !arguments.schema.empty()},
                                       {"skip_rows", arguments.skip_rows.has_value()},
                                       {"null_value", !arguments.null_values.empty()},
                                       {"no_header", arguments.no_header},
                                       {"detect", arguments.detect},
                                       {"bad_rows", !arguments.bad_rows.empty()}};
  for (const auto& [name, value] : arguments.csv) given[name] = value.has_value();
  for (const auto& [name, is_given] : given) {
    if (!is_given || (!names.empty() && !names.contains(name))) continue;
    std::string option = "--" + name;
    std::replace(option.begin(), option.end(), '_', '-');
    return option;
  }
  return "";
}

// What is no CSV is read as it is.
Status RefuseCsvOptions(const ConvertArguments& arguments, const std::string& object) {
  const std::string option = FirstGiven(arguments, {});
  if (option.empty()) return Status::OK();
  return Fail(Fault::kUsage, option + " is about reading CSV, and this is none", {.object = object},
              "Leave it out.");
}

Result<csv::ReadOptions> CsvOptions(const ConvertArguments& arguments) {
  const std::string found = FirstGiven(arguments, {"delimiter", "quote_char", "escape_char",
                                                   "comment_prefix", "skip_rows", "no_header"});
  if (arguments.detect && !found.empty()) {
    return Fail(Fault::kUsage, found + " is given beside --detect, which finds it", {},
                "Leave out one of them.");
  }
  Json given = Json::object();
  for (const auto& [name, value] : arguments.csv) {
    if (value) given[name] = *value;
  }
  if (arguments.skip_rows) given["skip_rows"] = *arguments.skip_rows;
  if (!arguments.null_values.empty()) given["null_values"] = arguments.null_values;
  if (arguments.no_header) given["header"] = false;
  if (arguments.detect) given["detect"] = true;
  ARROW_ASSIGN_OR_RAISE(csv::ReadOptions options,
                        csv::ReadOptionsFromJson(given, "the command line"));
  ARROW_ASSIGN_OR_RAISE(const auto schema, ParsePairs("--schema", arguments.schema));
  if (schema.size() != arguments.schema.size()) {
    return Fail(Fault::kUsage, "--schema is given twice for one column", {},
                "Leave out one of them.");
  }
  options.schema = schema;
  ARROW_RETURN_NOT_OK(options.Validate());
  return options;
}

// Rows that are put aside need a place: in the frame, or a file.
Status CheckBadRows(const ConvertArguments& arguments, bool to_frame) {
  const bool puts_aside = arguments.csv.at("on_error") == "quarantine";
  const bool has_file = !arguments.bad_rows.empty();
  if (puts_aside && !to_frame && !has_file) {
    return Fail(Fault::kUsage, "rows are to be put aside, and nothing says where", {},
                "Give a file by --bad-rows bad.csv (or .parquet, .arrow).");
  }
  if (has_file && !puts_aside) {
    return Fail(Fault::kUsage, "--bad-rows is given, and no rows are put aside", {},
                "Say --on-error quarantine.");
  }
  return has_file ? output::FormatOfPath(arguments.bad_rows).status() : Status::OK();
}

// Nothing is written over what holds rows that the output does not have.
Status CheckTargets(const ConvertArguments& arguments, const std::vector<source::Object>& objects,
                    const std::string& out) {
  if (arguments.csv.at("on_error").value_or("fail") == "fail") return Status::OK();
  const auto place_of = [](const std::string& path) {
    std::error_code error;
    return fs::weakly_canonical(fs::absolute(path), error);
  };
  const fs::path target = place_of(out);
  const fs::path bad_rows = arguments.bad_rows.empty() ? fs::path() : place_of(arguments.bad_rows);
  if (bad_rows == target) {
    return Fail(Fault::kUsage, "--bad-rows names what the other rows are written to",
                {.object = out}, "Name another file.");
  }
  for (const source::Object& object : objects) {
    const fs::path read = place_of(object.uri);
    if (bad_rows == read) {
      return Fail(Fault::kUsage, "--bad-rows names a file that is read", {.object = object.uri},
                  "Name another file.");
    }
    if (target == read) {
      return Fail(Fault::kUsage, "a file that is read would be replaced by fewer rows",
                  {.object = object.uri}, "Name another file to write to.");
    }
  }
  return Status::OK();
}

Status Commit(const std::string& dir, const std::string& name, bool durable,
              const std::vector<std::string>& warnings) {
  frame::CommitOptions commit;
  commit.name = name;
  commit.key = HashText(name);
  commit.warnings = warnings;
  commit.durable = durable;
  for (const std::string& warning : warnings) {
    std::fprintf(stderr, "hayate: warning: %s\n", warning.c_str());
  }
  return frame::Commit(dir, commit).status();
}

// A frame that stays holds its own parts; one that is only read to write OUT links to the files.
Status ReadArrow(const std::vector<source::Object>& objects, bool is_result,
                 const std::string& dir) {
  ARROW_RETURN_NOT_OK(MakeDirectories(dir));
  for (size_t i = 0; i < objects.size(); ++i) {
    const auto number = static_cast<int64_t>(i);
    if (is_result) {
      ARROW_RETURN_NOT_OK(frame::ImportPart(dir, number, objects[i].uri).status());
      continue;
    }
    frame::Part part;
    part.number = number;
    part.file = frame::PartFileName(number, ".arrow");
    const fs::path target = fs::path(dir) / part.file;
    std::error_code error;
    fs::create_symlink(objects[i].uri, target, error);
    if (error) return FailErrno(error.value(), "cannot write", {.object = target.string()});
    ARROW_RETURN_NOT_OK(frame::AdoptPart(dir, part).status());
  }
  return Status::OK();
}

// IN… as a committed frame in `dir`.
Status ReadInputs(const ConvertArguments& arguments, const std::vector<source::Object>& objects,
                  bool is_result, int threads, const std::string& dir) {
  const std::string name = fs::path(objects.front().uri).filename().string();
  const auto arrow = std::count_if(objects.begin(), objects.end(),
                                   [](const auto& object) { return IsArrow(object.uri); });
  for (const source::Object& object : objects) {
    if (!IsArrow(object.uri) && !object.uri.ends_with(".parquet")) continue;
    ARROW_RETURN_NOT_OK(RefuseCsvOptions(arguments, object.uri));
  }
  if (arrow == static_cast<int64_t>(objects.size())) {
    ARROW_RETURN_NOT_OK(ReadArrow(objects, is_result, dir));
    return Commit(dir, name, is_result, {});
  }
  if (arrow > 0) {
    return Fail(Fault::kUsage, "Arrow files and others cannot be read together", {},
                "Convert them one after the other.");
  }
  ingest::IngestOptions options;
  ARROW_ASSIGN_OR_RAISE(options.csv, CsvOptions(arguments));
  options.threads = threads;
  options.allow_empty = true;
  options.progress = [](const ingest::IngestProgress&) { return g_interrupted == 0; };
  ARROW_ASSIGN_OR_RAISE(const auto ingested, ingest::IngestToParts(objects, options, dir));
  ARROW_RETURN_NOT_OK(ingest::CommitQuarantine(dir, HashText(name), is_result).status());
  return Commit(dir, name, is_result, ingested.warnings);
}

Status Write(const std::string& dir, const std::string& out, int threads) {
  ARROW_ASSIGN_OR_RAISE(const auto reader, frame::FrameReader::Open(dir));
  output::OutputOptions options;
  options.threads = threads;
  options.keep_going = [] { return g_interrupted == 0; };
  ARROW_ASSIGN_OR_RAISE(const auto written, output::WriteFrame(*reader, out, options));
  std::printf("%s: %s rows, %s bytes\n", out.c_str(), WithCommas(written.rows).c_str(),
              WithCommas(written.bytes).c_str());
  return Status::OK();
}

Status MakeFrame(const std::string& scratch, const std::string& out) {
  ARROW_ASSIGN_OR_RAISE(const auto manifest, frame::ReadManifest(scratch));
  if (rename(scratch.c_str(), out.c_str()) != 0) {
    return FailErrno(errno, "the frame cannot be put in its place", {.object = out});
  }
  ARROW_RETURN_NOT_OK(SyncPath(ParentFolder(out)));
  std::printf("%s: %s rows, %zu parts, %s bytes\n", out.c_str(), WithCommas(manifest.rows).c_str(),
              manifest.parts.size(), WithCommas(manifest.bytes).c_str());
  return Status::OK();
}

Status Convert(const ConvertArguments& arguments) {
  std::vector<std::string> inputs(arguments.paths.begin(), arguments.paths.end() - 1);
  std::string out = fs::path(arguments.paths.back()).lexically_normal().string();
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  const int threads = arguments.threads > 0 ? arguments.threads : AvailableCores();
  const bool to_frame = IsFrameOut(out);
  if (to_frame && PathExists(out)) {
    return Fail(Fault::kUsage, "it is there already", {.object = out},
                "Remove it, or name another folder for the frame.");
  }
  const bool from_frame = std::any_of(inputs.begin(), inputs.end(), [](const std::string& path) {
    return PathExists((fs::path(path) / "frame.json").string());
  });
  if (from_frame && (inputs.size() > 1 || to_frame)) {
    return Fail(Fault::kUsage, "a frame is converted alone, into one file", {.object = inputs[0]},
                "hayate convert FRAME OUT.parquet (or .arrow, .csv, .csv.gz)");
  }
  const std::string folder = fs::absolute(out).parent_path().string();
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return Fail(Fault::kUsage, "there is no such folder", {.object = folder},
                "Make it first: mkdir -p " + folder);
  }
  if (from_frame) {
    ARROW_RETURN_NOT_OK(RefuseCsvOptions(arguments, inputs.front()));
    return Write(inputs.front(), out, threads);
  }
  ARROW_RETURN_NOT_OK(CheckBadRows(arguments, to_frame));
  ARROW_ASSIGN_OR_RAISE(const auto objects, source::List(inputs, fs::current_path().string()));
  ARROW_RETURN_NOT_OK(CheckTargets(arguments, objects, out));
  const ScratchFolder scratch(out);
  ARROW_RETURN_NOT_OK(ReadInputs(arguments, objects, to_frame, threads, scratch.path()));
  if (!arguments.bad_rows.empty()) {
    const std::string bad_rows = (fs::path(scratch.path()) / ingest::kQuarantineFolder).string();
    ARROW_RETURN_NOT_OK(Write(bad_rows, arguments.bad_rows, threads));
  }
  return to_frame ? MakeFrame(scratch.path(), out) : Write(scratch.path(), out, threads);
}

int ConvertCommand(const ConvertArguments& arguments) {
  // The first signal ends the reading and the writing in order, a second one at once.
  struct sigaction action{};
  action.sa_handler = OnSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  if (arguments.paths.size() < 2) {
    return Report(Fail(Fault::kUsage, "convert needs what to read and where to write", {},
                       "hayate convert 'data/*.csv.gz' data.parquet"));
  }
  const int code = Report(Convert(arguments));
  return code != 0 && g_interrupted != 0 ? 128 + g_interrupted : code;
}

}  // namespace

namespace {

void AddCsvOptions(CLI::App* command, ConvertArguments* arguments) {
  const auto add = [&](const char* name, const char* option, const char* help) {
    command->add_option(name, arguments->csv[option], help);
  };
  add("--delimiter", "delimiter", "Of CSV (default: a comma)");
  add("--quote-char", "quote_char", "Of CSV; '' if quotes are text (default: \")");
  add("--escape-char", "escape_char", "Makes the next character text (default: none)");
  add("--comment-prefix", "comment_prefix", "Lines of CSV that begin with it are left out");
  command->add_option("--skip-rows", arguments->skip_rows, "Lines to leave out before the header");
  command->add_flag("--no-header", arguments->no_header, "The columns are column_1, column_2, ...");
  command->add_flag("--detect", arguments->detect,
                    "Find delimiter, quote, escape, header and preamble, and say what was found");
  command
      ->add_option("--null-value", arguments->null_values,
                   "Unquoted spelling of null, repeated (default: nothing)")
      ->take_all()
      ->allow_extra_args(false);
  add("--encoding", "encoding", "Of CSV, as utf-8, latin-1, utf-16, cp932 (default: utf-8)");
  add("--decimal-point", "decimal_point", "Of numbers (default: .)");
  add("--thousands", "thousands", "Between groups of three digits (default: none)");
  add("--on-error", "on_error",
      "Of values and rows that cannot be read: fail, null, quarantine (default: fail)");
  command
      ->add_option("--bad-rows", arguments->bad_rows,
                   "Where to write those in quarantine (a frame keeps them itself)")
      ->type_name("FILE");
}

}  // namespace

void AddConvert(CLI::App* app, Action* action) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App* command = app->add_subcommand(
      "convert", "Convert between CSV, Parquet, Arrow files and frames, by extension");
  command
      ->add_option(
          "path", arguments->paths,
          "Files or globs to read (.csv, .csv.gz, .csv.zst, .csv.bz2, .parquet, .arrow) or a "
          "frame's folder; "
          "last, what to write (.arrow, .parquet, .csv, .csv.gz; else a frame)")
      ->required()
      ->type_name("IN... OUT");
  command->add_option("--schema", arguments->schema, "Type of a column of CSV, repeated")
      ->type_name("COLUMN=TYPE")
      ->take_all()
      ->allow_extra_args(false);
  AddCsvOptions(command, arguments.get());
  command->add_option("-j,--jobs", arguments->threads, "Cores to use (default: all there are)")
      ->type_name("N")
      ->check(AtLeastOne());
  command->footer(
      "Example: hayate convert 'data/clicks-*.csv.gz' clicks.parquet\n"
      "Exit codes: 0 done, 1 failed, 2 wrong use, 130 and 143 interrupted; nothing half-written "
      "stays.");
  command->callback([=] { *action = [=] { return ConvertCommand(*arguments); }; });
}

}  // namespace hayate::cli
