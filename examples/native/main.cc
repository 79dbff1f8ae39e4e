// What each user saw and clicked, from a click log in gzip CSV shards: read, shuffled by user and
// added up on all cores, written as a frame. No Python runs.
//
//   user_totals OUT CLICKS...      e.g. user_totals data/totals 'data/clicks-*.csv.gz'
//
// OUT becomes a folder of three frames: clicks, clicks-by-user, totals.
#include <arrow/api.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "hayate/base/hash.h"
#include "hayate/base/limits.h"
#include "hayate/base/status.h"
#include "hayate/frame/reader.h"
#include "hayate/frame/writer.h"
#include "hayate/ingest/ingest.h"
#include "hayate/shuffle/shuffle.h"
#include "hayate/source/source.h"

namespace {

using hayate::Result;
using hayate::Status;

struct Totals {
  int64_t shown = 0;
  int64_t clicks = 0;
  double spent = 0.0;  // price of what was clicked
};

/// Users of one partition in order of first appearance, with their totals.
struct UserTotals {
  std::vector<int64_t> users;
  std::unordered_map<int64_t, Totals> totals;

  void Add(const arrow::RecordBatch& batch) {
    const auto& user = static_cast<const arrow::Int64Array&>(*batch.GetColumnByName("user_id"));
    const auto& clicked =
        static_cast<const arrow::BooleanArray&>(*batch.GetColumnByName("clicked"));
    const auto& price = static_cast<const arrow::DoubleArray&>(*batch.GetColumnByName("price"));
    for (int64_t row = 0; row < batch.num_rows(); ++row) {
      if (user.IsNull(row)) continue;
      const auto [found, is_new] = totals.try_emplace(user.Value(row));
      if (is_new) users.push_back(user.Value(row));
      Totals& sums = found->second;
      ++sums.shown;
      if (clicked.IsNull(row) || !clicked.Value(row)) continue;
      ++sums.clicks;
      if (!price.IsNull(row)) sums.spent += price.Value(row);
    }
  }
};

std::shared_ptr<arrow::Schema> TotalsSchema() {
  return arrow::schema(
      {arrow::field("user_id", arrow::int64()), arrow::field("shown", arrow::int64()),
       arrow::field("clicks", arrow::int64()), arrow::field("spent", arrow::float64())});
}

Result<std::shared_ptr<arrow::RecordBatch>> ToBatch(const UserTotals& result) {
  arrow::Int64Builder user, shown, clicks;
  arrow::DoubleBuilder spent;
  for (const int64_t id : result.users) {
    const Totals& sums = result.totals.find(id)->second;
    ARROW_RETURN_NOT_OK(user.Append(id));
    ARROW_RETURN_NOT_OK(shown.Append(sums.shown));
    ARROW_RETURN_NOT_OK(clicks.Append(sums.clicks));
    ARROW_RETURN_NOT_OK(spent.Append(sums.spent));
  }
  arrow::ArrayVector columns(4);
  ARROW_RETURN_NOT_OK(user.Finish(&columns[0]));
  ARROW_RETURN_NOT_OK(shown.Finish(&columns[1]));
  ARROW_RETURN_NOT_OK(clicks.Finish(&columns[2]));
  ARROW_RETURN_NOT_OK(spent.Finish(&columns[3]));
  const auto rows = static_cast<int64_t>(result.users.size());
  return arrow::RecordBatch::Make(TotalsSchema(), rows, std::move(columns));
}

/// The function that is mapped: partition `number` of `input` → part `number` of the frame in
/// `dir`.
Status MapPartition(const hayate::frame::FrameReader& input, int64_t number,
                    const std::string& dir) {
  UserTotals result;
  for (int64_t part = 0; part < input.num_parts(); ++part) {
    ARROW_ASSIGN_OR_RAISE(auto batch, input.ReadBatch(part, number));
    result.Add(*batch);
  }
  ARROW_ASSIGN_OR_RAISE(auto batch, ToBatch(result));
  ARROW_ASSIGN_OR_RAISE(auto writer, hayate::frame::PartWriter::Make(dir, number, TotalsSchema()));
  ARROW_RETURN_NOT_OK(writer->Write(*batch));
  return writer->Finish().status();
}

/// Every partition, by as many threads as there are cores. The first error ends it.
Status MapPartitions(const hayate::frame::FrameReader& input, int64_t partitions, int threads,
                     const std::string& dir) {
  std::atomic<int64_t> next = 0;
  std::mutex mutex;
  Status first_error;
  {
    std::vector<std::jthread> pool;
    for (int i = 0; i < threads; ++i) {
      pool.emplace_back([&] {
        for (int64_t number = next++; number < partitions; number = next++) {
          const Status status = MapPartition(input, number, dir);
          if (status.ok()) continue;
          const std::scoped_lock lock(mutex);
          if (first_error.ok()) first_error = status;
          next = partitions;
        }
      });
    }
  }
  return first_error;
}

/// Makes the parts in `dir` a frame. Its key is its name here: nothing is reused by key.
Result<hayate::frame::Manifest> CommitFrame(const std::string& dir, const std::string& name,
                                            int64_t parts) {
  hayate::frame::CommitOptions commit;
  commit.name = name;
  commit.key = hayate::HashText(name);
  commit.expected_parts = parts;
  return hayate::frame::Commit(dir, commit);
}

Status Run(const std::string& out, const std::vector<std::string>& patterns) {
  const int threads = hayate::AvailableCores();
  const std::string clicks = out + "/clicks", by_user = out + "/clicks-by-user",
                    totals = out + "/totals";
  for (const auto& dir : {clicks, by_user, totals}) {
    ARROW_RETURN_NOT_OK(hayate::frame::ClearFrame(dir));
  }

  ARROW_ASSIGN_OR_RAISE(auto shards,
                        hayate::source::List(patterns, std::filesystem::current_path().string()));
  hayate::ingest::IngestOptions ingest;
  ingest.threads = threads;
  ingest.csv.columns = {"user_id", "price", "clicked"};
  ingest.csv.schema = {{"user_id", "INT64"}, {"price", "FLOAT64"}, {"clicked", "BOOL"}};
  ARROW_ASSIGN_OR_RAISE(auto read, hayate::ingest::IngestToParts(shards, ingest, clicks));
  const auto shard_count = static_cast<int64_t>(shards.size());
  ARROW_ASSIGN_OR_RAISE(auto manifest, CommitFrame(clicks, "clicks", shard_count));

  ARROW_ASSIGN_OR_RAISE(auto input, hayate::frame::FrameReader::Open(clicks));
  hayate::shuffle::ShuffleOptions shuffle;
  shuffle.columns = {"user_id"};
  shuffle.partitions = hayate::shuffle::PartitionCount(manifest.rows, manifest.bytes);
  shuffle.threads = threads;
  ARROW_RETURN_NOT_OK(hayate::shuffle::ShuffleParts(*input, shuffle, by_user));
  ARROW_RETURN_NOT_OK(CommitFrame(by_user, "clicks-by-user", input->num_parts()).status());

  ARROW_ASSIGN_OR_RAISE(auto shuffled, hayate::frame::FrameReader::Open(by_user));
  ARROW_RETURN_NOT_OK(MapPartitions(*shuffled, shuffle.partitions, threads, totals));
  ARROW_ASSIGN_OR_RAISE(manifest, CommitFrame(totals, "totals", shuffle.partitions));
  std::printf("%lld impressions of %lld users in %lld partitions: %s\n",
              static_cast<long long>(read.rows), static_cast<long long>(manifest.rows),
              static_cast<long long>(shuffle.partitions), totals.c_str());
  return Status::OK();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: user_totals OUT CLICKS...\n");
    return 2;
  }
  const Status status = Run(argv[1], std::vector<std::string>(argv + 2, argv + argc));
  if (!status.ok()) std::fputs(hayate::FormatForUser(status).c_str(), stderr);
  return hayate::ExitCodeOf(status);
}
