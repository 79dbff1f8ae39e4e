#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "hayate/base/file.h"
#include "hayate/base/hash.h"
#include "hayate/base/limits.h"
#include "hayate/cli/command.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/ingest.h"
#include "hayate/output/output.h"
#include "hayate/source/source.h"

namespace hayate::cli {
namespace {

namespace fs = std::filesystem;

struct ConvertArguments {
  std::vector<std::string> paths;  // IN…, OUT
  std::vector<std::string> schema;
  std::string delimiter = ",";
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

Result<csv::ReadOptions> CsvOptions(const ConvertArguments& arguments) {
  csv::ReadOptions options;
  if (arguments.delimiter.size() != 1) {
    return Fail(Fault::kUsage, "--delimiter has to be one character", {}, "Give one, as ';'.");
  }
  options.delimiter = arguments.delimiter.front();
  ARROW_ASSIGN_OR_RAISE(const auto schema, ParsePairs("--schema", arguments.schema));
  options.schema = schema;
  ARROW_RETURN_NOT_OK(options.Validate());
  return options;
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
Status ReadInputs(const ConvertArguments& arguments, const std::vector<std::string>& inputs,
                  bool is_result, int threads, const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(const auto objects, source::List(inputs, fs::current_path().string()));
  const std::string name = fs::path(objects.front().uri).filename().string();
  const auto arrow = std::count_if(objects.begin(), objects.end(),
                                   [](const auto& object) { return IsArrow(object.uri); });
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
  if (from_frame) return Write(inputs.front(), out, threads);
  const ScratchFolder scratch(out);
  ARROW_RETURN_NOT_OK(ReadInputs(arguments, inputs, to_frame, threads, scratch.path()));
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

void AddConvert(CLI::App* app, Action* action) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App* command = app->add_subcommand(
      "convert", "Convert between CSV, Parquet, Arrow files and frames, by extension");
  command
      ->add_option("path", arguments->paths,
                   "Files or globs to read (.csv, .csv.gz, .parquet, .arrow) or a frame's folder; "
                   "last, what to write (.arrow, .parquet, .csv, .csv.gz; else a frame)")
      ->required()
      ->type_name("IN... OUT");
  command->add_option("--schema", arguments->schema, "Type of a column of CSV, repeated")
      ->type_name("COLUMN=TYPE")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--delimiter", arguments->delimiter, "Of CSV (default: a comma)");
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
