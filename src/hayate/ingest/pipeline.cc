#include "hayate/ingest/pipeline.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace hayate::ingest {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int kPiecesBeyondThreads = 2;
constexpr int kPiecesAhead = 32;  // of each thread, where they wait for earlier shards

struct Shard {
  int64_t number = 0;
  std::unique_ptr<ShardReader> reader;
  bool reading = false;
  bool begun = false;
  bool ended = false;
  int64_t next_piece = 0;  // to be read
  int64_t next_write = 0;
  bool writing = false;
  bool finished = false;
  std::map<int64_t, Batches> ready;
  Status error;
  int64_t error_piece = kNever;
};

struct Piece {
  Shard* shard = nullptr;
  int64_t number = 0;
  std::unique_ptr<BlockTask> task;
};

class Pipeline {
 public:
  Pipeline(const std::vector<int64_t>& order, const OpenShard& open, BatchSink* sink,
           const PipelineOptions& options)
      : open_(open), sink_(sink), options_(options) {
    for (const int64_t number : order) {
      shards_.emplace_back();
      shards_.back().number = number;
    }
  }

  Status Run() {
    std::vector<std::thread> helpers;
    for (int i = 1; i < options_.threads; ++i) {
      try {
        helpers.emplace_back([this] { Work(); });
      } catch (const std::system_error&) {
        break;  // no more threads to be had: those there are do the work
      }
    }
    Work();
    for (std::thread& helper : helpers) helper.join();
    return Outcome();
  }

 private:
  using Lock = std::unique_lock<std::mutex>;

  void Work() {
    Shard* last = nullptr;  // read by this thread before: its state is in this core's cache
    Lock lock(mutex_);
    while (!stopped_) {
      if (!pieces_.empty()) {
        Piece piece = TakePiece(last);
        ++busy_;
        Convert(std::move(piece), &lock);
      } else if (Shard* const shard = ShardToRead(last)) {
        last = shard;
        ++busy_;
        Read(shard, &lock);
      } else if (busy_ == 0) {
        break;
      } else {
        changed_.wait(lock);
        continue;
      }
      lock.unlock();
      const bool go_on = !options_.keep_going || options_.keep_going();
      lock.lock();
      --busy_;
      stopped_ |= !go_on;
      changed_.notify_all();
    }
    changed_.notify_all();
  }

  // One of the shard that this thread has just read, so that its text is still in this core's
  // cache; else the first.
  Piece TakePiece(const Shard* last) {
    auto found = std::find_if(pieces_.begin(), pieces_.end(),
                              [&](const Piece& piece) { return piece.shard == last; });
    if (found == pieces_.end()) found = pieces_.begin();
    Piece piece = std::move(*found);
    pieces_.erase(found);
    return piece;
  }

  // Whether an error before it makes this piece useless.
  bool IsMoot(const Shard& shard, int64_t piece) const {
    return shard.number > first_error_ || piece > shard.error_piece;
  }

  bool CanRead(const Shard& shard) const {
    return !shard.reading && !shard.ended && !IsMoot(shard, shard.next_piece);
  }

  // The first shard that is not finished; null: all are.
  Shard* FirstOpen() {
    while (first_open_ < shards_.size() && shards_[first_open_].finished) ++first_open_;
    return first_open_ < shards_.size() ? &shards_[first_open_] : nullptr;
  }

  int MostInMemory() const {
    return options_.threads * (options_.in_order ? kPiecesAhead : 1) + kPiecesBeyondThreads;
  }

  Shard* ShardToRead(Shard* last) {
    Shard* const first = FirstOpen();
    if (in_memory_ >= MostInMemory()) {
      // What is in memory may all wait for the first shard: that one always goes on.
      const bool starves = options_.in_order && first != nullptr && CanRead(*first) &&
                           first->next_write == first->next_piece;
      return starves ? first : nullptr;
    }
    if (last != nullptr && CanRead(*last)) return last;
    int open = 0;
    for (size_t i = first_open_; i < shards_.size(); ++i) {
      Shard& shard = shards_[i];
      if (!shard.reading && IsMoot(shard, shard.next_piece)) {
        shard.reader = nullptr;  // never read again: no longer open
        continue;
      }
      if (!shard.begun && open >= options_.threads) return nullptr;
      if (CanRead(shard)) return &shard;
      open += shard.reading ? 1 : 0;
    }
    return nullptr;
  }

  void Read(Shard* shard, Lock* lock) {
    shard->begun = true;
    shard->reading = true;
    ++in_memory_;
    lock->unlock();
    Result<std::unique_ptr<BlockTask>> next = NextOf(shard);
    const bool ended = !next.ok() || *next == nullptr;
    if (ended) shard->reader = nullptr;  // closes files: not under the lock
    lock->lock();
    shard->reading = false;
    if (!ended) {
      pieces_.push_back({shard, shard->next_piece++, std::move(*next)});
      return;
    }
    --in_memory_;
    shard->ended = true;
    if (!next.ok()) SetError(shard, shard->next_piece, next.status());
    WriteReady(shard, lock);
  }

  Result<std::unique_ptr<BlockTask>> NextOf(Shard* shard) {
    return WithMemory<std::unique_ptr<BlockTask>>(
        *shard, "no memory to read a block", [&]() -> Result<std::unique_ptr<BlockTask>> {
          if (shard->reader == nullptr) {
            ARROW_ASSIGN_OR_RAISE(shard->reader, open_(shard->number));
          }
          return shard->reader->Next();
        });
  }

  // Containers throw where Arrow returns: both become an error that a person can act on.
  template <typename T, typename Step>
  Result<T> WithMemory(const Shard& shard, const char* what, Step&& step) const {
    const auto fail = [&] {
      return FailErrno(ENOMEM, what,
                       {.object = options_.name_of ? options_.name_of(shard.number) : ""});
    };
    try {
      Result<T> result = step();
      if (result.status().IsOutOfMemory()) return fail();
      return result;
    } catch (const std::bad_alloc&) {
      return fail();
    }
  }

  void Convert(Piece piece, Lock* lock) {
    Shard* const shard = piece.shard;
    if (IsMoot(*shard, piece.number)) {
      --in_memory_;
      return;
    }
    lock->unlock();
    Result<Batches> batches = WithMemory<Batches>(*shard, "no memory to convert a block",
                                                  [&] { return piece.task->Run(); });
    piece.task = nullptr;
    lock->lock();
    if (!batches.ok()) {
      --in_memory_;
      SetError(shard, piece.number, batches.status());
    } else {
      shard->ready.emplace(piece.number, std::move(*batches));
    }
    WriteReady(shard, lock);
  }

  // Writes what may be written now, of this shard or of those whose turn it has become.
  void WriteReady(Shard* shard, Lock* lock) {
    if (!options_.in_order) {
      WriteReadyOf(shard, lock);
      return;
    }
    for (Shard* first = FirstOpen(); first != nullptr; first = FirstOpen()) {
      WriteReadyOf(first, lock);
      if (!first->finished) return;
    }
  }

  // In the order of the pieces; one thread a shard, the others leave it to that one.
  void WriteReadyOf(Shard* shard, Lock* lock) {
    if (shard->writing) return;
    shard->writing = true;
    while (!shard->ready.empty()) {
      const auto first = shard->ready.begin();
      const int64_t piece = first->first;
      const bool moot = IsMoot(*shard, piece) || piece == shard->error_piece;
      if (!moot && piece != shard->next_write) break;
      const Batches batches = std::move(first->second);
      shard->ready.erase(first);
      if (!moot) {
        Status status;
        if (batches.rows != nullptr || batches.put_aside != nullptr) {
          lock->unlock();
          status = sink_->Write(shard->number, batches);
          lock->lock();
        }
        if (!status.ok()) SetError(shard, piece, status);
        ++shard->next_write;
      }
      --in_memory_;
    }
    const bool complete = shard->ended && shard->next_write == shard->next_piece &&
                          shard->error_piece == kNever && !shard->finished;
    if (complete) {
      lock->unlock();
      const Status status = sink_->Finish(shard->number);
      lock->lock();
      shard->finished = true;
      if (!status.ok()) SetError(shard, shard->next_piece, status);
    }
    shard->writing = false;
  }

  void SetError(Shard* shard, int64_t piece, Status error) {
    if (piece >= shard->error_piece) return;
    shard->error_piece = piece;
    shard->error = std::move(error);
    if (shard->number >= first_error_) return;
    first_error_ = shard->number;
    // What later shards hold is of no use any more, and must not keep earlier ones from going on.
    for (Shard& later : shards_) {
      if (later.number <= first_error_ || later.writing) continue;
      in_memory_ -= static_cast<int>(later.ready.size());
      later.ready.clear();
    }
  }

  Status Outcome() const {
    if (stopped_) {
      return Fail(Fault::kInterrupted, "reading the input was interrupted", {},
                  "Run again: what was finished is kept.");
    }
    for (const Shard& shard : shards_) {
      if (shard.number == first_error_) return shard.error;
    }
    return Status::OK();
  }

  const OpenShard& open_;
  BatchSink* const sink_;
  const PipelineOptions& options_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Shard> shards_;      // in the order in which they are begun
  size_t first_open_ = 0;         // shards before it are finished
  std::deque<Piece> pieces_;      // read and not yet converted
  int in_memory_ = 0;             // pieces being read, waiting, in conversion or to be written
  int busy_ = 0;                  // threads at work
  int64_t first_error_ = kNever;  // least number of a shard that failed
  bool stopped_ = false;
};

}  // namespace

Status RunPipeline(const std::vector<int64_t>& order, const OpenShard& open, BatchSink* sink,
                   const PipelineOptions& options) {
  return Pipeline(order, open, sink, options).Run();
}

}  // namespace hayate::ingest
