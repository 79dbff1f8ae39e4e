#include "hayate/cloud/fetcher.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "hayate/cloud/connection_count.h"
#include "hayate/cloud/crc32c.h"

namespace hayate::cloud {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kMeasure{500};
// A piece that always gains a little is not worth more than this many times the policy's attempts.
constexpr int kMostRounds = 10;
constexpr int64_t kMostKeptBytes = 64 << 20;
constexpr int kPartialContent = 206;
constexpr int kRangeNotSatisfiable = 416;
constexpr int kTooManyRequests = 429;
constexpr int kServiceUnavailable = 503;

// Memory of whole pieces that have been read, for those to come: the kernel would else clear it
// anew for each. Must be held by a shared_ptr.
class PieceMemory : public std::enable_shared_from_this<PieceMemory> {
 public:
  explicit PieceMemory(int64_t piece_bytes) : piece_bytes_(piece_bytes) {
    kept_.reserve(static_cast<size_t>(kMostKeptBytes / piece_bytes_));  // Keep must not throw
  }

  std::shared_ptr<uint8_t[]> Take(int64_t bytes) {
    const auto count = static_cast<size_t>(bytes);
    if (bytes != piece_bytes_) return std::make_shared_for_overwrite<uint8_t[]>(count);
    std::unique_ptr<uint8_t[]> memory;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!kept_.empty()) {
        memory = std::move(kept_.back());
        kept_.pop_back();
      }
    }
    if (memory == nullptr) memory = std::make_unique_for_overwrite<uint8_t[]>(count);
    return {memory.release(), [self = shared_from_this()](uint8_t* read) {
              self->Keep(std::unique_ptr<uint8_t[]>(read));
            }};
  }

 private:
  void Keep(std::unique_ptr<uint8_t[]> memory) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (kept_.size() < kept_.capacity()) kept_.push_back(std::move(memory));
  }

  const int64_t piece_bytes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<uint8_t[]>> kept_;
};

// Bytes [begin, end) of an object. Those below `received` do not change any more.
struct Piece {
  int64_t begin = 0;
  int64_t end = 0;  // lower than at first once another piece has taken over what comes after it
  std::shared_ptr<uint8_t[]> bytes;
  int64_t received = 0;
  int64_t asked_from = 0;  // of the request under way
  int64_t asked_to = 0;
  Clock::time_point asked_at;
  int attempts = 0;  // that gained nothing, one after the other
  int rounds = 0;
  bool renewed = false;
  Status error;

  int64_t size() const { return end - begin; }
};

struct Download {
  explicit Download(source::Object what) : object(std::move(what)) {}

  const source::Object object;
  int64_t next = 0;                           // bytes below it have been asked for
  std::deque<std::shared_ptr<Piece>> pieces;  // asked for and not yet read to their ends
  bool open = false;
  bool abandoned = false;

  bool has_more() const { return next < object.size_bytes; }
  int64_t ahead() const {
    int64_t bytes = 0;
    for (const auto& piece : pieces) bytes += piece->size();
    return bytes;
  }
};

using DownloadPtr = std::shared_ptr<Download>;
using PiecePtr = std::shared_ptr<Piece>;

// Whether an answer has the bytes [begin, end) of an object of that size (Content-Range, RFC 9110,
// section 14.4).
bool IsRange(const HttpResponse& head, int64_t begin, int64_t end, const source::Object& object) {
  const auto found = head.headers.find("content-range");
  if (found == head.headers.end()) return false;
  std::string said = found->second;
  std::transform(said.begin(), said.end(), said.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string range = "bytes " + std::to_string(begin) + "-" + std::to_string(end - 1) + "/";
  return said == range + std::to_string(object.size_bytes) || said == range + "*";
}

Status Changed(const source::Object& object, const std::string& why) {
  return Fail(Fault::kInput, "the object " + why, {.object = object.uri},
              "Look for what else writes to the bucket, then run again.");
}

}  // namespace

// Outlives the fetcher while a transfer's callback still holds it.
class Fetcher::State : public std::enable_shared_from_this<Fetcher::State> {
 public:
  State(CloudStorage* storage, const FetchOptions& options)
      : storage_(storage),
        options_(options),
        memory_(std::make_shared<PieceMemory>(options.piece_bytes)),
        count_(options.least_connections, options.first_connections, options.most_connections) {}

  void Plan(const source::Object& object) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto download = std::make_shared<Download>(object);
      if (planned_.emplace(KeyOf(object), download).second) queue_.push_back(download);
    }
    Pump();
  }

  void Forget(const source::Object& object) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = planned_.find(KeyOf(object));
      if (found == planned_.end()) return;
      Abandon(found->second.get());
      planned_.erase(found);
    }
    Pump();
  }

  DownloadPtr Open(const source::Object& object) {
    DownloadPtr opened;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = planned_.find(KeyOf(object));
      if (found == planned_.end()) {
        opened = std::make_shared<Download>(object);
      } else {
        opened = found->second;
        planned_.erase(found);
      }
      opened->open = true;
      open_.push_back(opened);
    }
    Pump();
    return opened;
  }

  // The next bytes, at least one; 0 at the end.
  Result<int64_t> Read(Download* download, int64_t at, std::span<uint8_t> out) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      if (stopped_) return Interrupted(download->object.uri);
      if (at >= download->object.size_bytes) return 0;
      if (!download->pieces.empty()) {
        const PiecePtr piece = download->pieces.front();
        const int64_t have = piece->begin + piece->received - at;
        if (have > 0) {
          const int64_t n = std::min(have, static_cast<int64_t>(out.size()));
          lock.unlock();
          std::memcpy(out.data(), piece->bytes.get() + (at - piece->begin), static_cast<size_t>(n));
          PopPieceIfRead(download, at + n);
          return n;
        }
        if (!piece->error.ok()) return piece->error;
      }
      ++waiting_;
      const auto begin = Clock::now();
      arrived_.wait(lock);
      waited_ += Clock::now() - begin;
      --waiting_;
    }
  }

  void Close(const DownloadPtr& download) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      Abandon(download.get());
      open_.remove(download);
    }
    Pump();
  }

  void Stop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    arrived_.notify_all();
  }

  int64_t bytes_received() const { return bytes_received_; }

  int connections() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return count_.count();
  }

  std::chrono::nanoseconds waited() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return waited_;
  }

 private:
  using Key = std::pair<std::string, int64_t>;
  static Key KeyOf(const source::Object& object) { return {object.uri, object.generation}; }

  void Abandon(Download* download) {
    download->abandoned = true;
    reserved_ -= download->ahead();
    download->pieces.clear();
  }

  void PopPieceIfRead(Download* download, int64_t read_to) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (download->pieces.front()->end != read_to) return;
      reserved_ -= download->pieces.front()->size();
      download->pieces.pop_front();
    }
    Pump();
  }

  // Begins transfers while there are connections and memory for them. Not under the lock: asking
  // for a token may take a while.
  // On the client's thread, a connection that has nothing else to do takes over the end of the
  // piece that would be the last to be there.
  void Pump(bool may_split = false) {
    while (true) {
      DownloadPtr download;
      PiecePtr piece;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (stopped_ || active_ >= count_.count()) return;
        download = Next();
        if (download == nullptr) {
          if (!may_split || !Split(&download, &piece)) return;
        } else {
          piece = std::make_shared<Piece>();
          piece->begin = download->next;
          piece->end = std::min(piece->begin + options_.piece_bytes, download->object.size_bytes);
          piece->bytes = memory_->Take(piece->size());
          download->next = piece->end;
          download->pieces.push_back(piece);
          reserved_ += piece->size();
        }
        ++active_;
      }
      const Status begun = Begin(download, piece, {});
      if (!begun.ok()) End(download.get(), piece.get(), begun);
    }
  }

  // Takes the end of the piece under way that would be there last into one of its own, so that the
  // two end together if the new one gets the usual rate: one slow connection would else hold up all
  // that comes behind it. Only on the client's thread, on which nothing arrives meanwhile.
  bool Split(DownloadPtr* download, PiecePtr* rest) {
    const double least_seconds = std::chrono::duration<double>(options_.split_after).count();
    struct Slowest {
      DownloadPtr download;
      PiecePtr piece;
      double rate = 0;
      double seconds_left = 0;
    } slowest{.seconds_left = least_seconds};
    double rates = 0;
    int count = 0;
    const auto now = Clock::now();
    const auto look = [&](const DownloadPtr& one) {
      for (const PiecePtr& piece : one->pieces) {
        const int64_t left = piece->size() - piece->received;
        const double seconds = std::chrono::duration<double>(now - piece->asked_at).count();
        const bool is_asked = piece->asked_to != 0 && piece->error.ok();
        if (left == 0 || !is_asked || seconds < least_seconds) continue;
        const int64_t got = piece->begin + piece->received - piece->asked_from;
        const double rate = std::max(1.0, static_cast<double>(got) / std::max(seconds, 1e-6));
        rates += rate;
        ++count;
        const double seconds_left = static_cast<double>(left) / rate;
        if (left <= options_.split_bytes || seconds_left <= slowest.seconds_left) continue;
        slowest = {one, piece, rate, seconds_left};
      }
    };
    for (const DownloadPtr& one : open_) look(one);
    for (const auto& [key, one] : planned_) look(one);
    if (slowest.piece == nullptr) return false;
    Piece* const first = slowest.piece.get();
    const int64_t left = first->size() - first->received;
    const double share = slowest.rate / (slowest.rate + rates / count);
    const int64_t least = std::max<int64_t>(1, options_.split_bytes / 4);
    const int64_t kept =
        std::clamp(static_cast<int64_t>(static_cast<double>(left) * share), least, left - least);
    const int64_t middle = first->begin + first->received + kept;
    *rest = std::make_shared<Piece>();
    (*rest)->begin = middle;
    (*rest)->end = first->end;
    // The same memory, of which each fills its own end.
    (*rest)->bytes =
        std::shared_ptr<uint8_t[]>(first->bytes, first->bytes.get() + (middle - first->begin));
    first->end = middle;
    *download = slowest.download;
    auto& pieces = slowest.download->pieces;
    pieces.insert(std::find(pieces.begin(), pieces.end(), slowest.piece) + 1, *rest);
    return true;
  }

  // Whose next piece to ask for; null: none for now.
  DownloadPtr Next() {
    DownloadPtr open;  // the one that has the least ahead
    int64_t open_ahead = 0;
    int64_t open_count = 0;
    for (const DownloadPtr& one : open_) {
      if (!one->has_more()) continue;
      // Its reader waits, or soon will: it always goes on.
      if (one->pieces.empty()) return one;
      ++open_count;
      const int64_t ahead = one->ahead();
      if (open == nullptr || ahead < open_ahead) {
        open = one;
        open_ahead = ahead;
      }
    }
    while (!queue_.empty()) {
      const Download& first = *queue_.front();
      if (!first.open && !first.abandoned && first.has_more()) break;
      queue_.pop_front();
    }
    const DownloadPtr planned = queue_.empty() ? nullptr : queue_.front();
    if (reserved_ + options_.piece_bytes > options_.budget_bytes) return nullptr;
    // Half of the memory for what is being read, half for what comes next.
    if (open != nullptr &&
        (planned == nullptr || 2 * open_ahead * open_count < options_.budget_bytes)) {
      return open;
    }
    return planned;
  }

  // `refused`: an authorization that was not taken any more.
  Status Begin(const DownloadPtr& download, const PiecePtr& piece, std::chrono::milliseconds delay,
               const std::string& refused = "") {
    int64_t had = 0;
    int64_t from = 0;
    int64_t to = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      had = piece->received;
      from = piece->asked_from = piece->begin + had;
      to = piece->asked_to = piece->end;
      piece->asked_at = Clock::now() + delay;
    }
    ARROW_ASSIGN_OR_RAISE(auto request,
                          storage_->PieceRequest(download->object, from, to, refused));
    const auto state = shared_from_this();
    request.on_body = [state, download, piece](const HttpResponse& head,
                                               std::span<const uint8_t> bytes) {
      return state->Take(*download, piece.get(), head, bytes);
    };
    const auto done = [state, download, piece, had,
                       authorization = request.authorization](const HttpResponse& response) {
      const auto goes_on = state->GoOn(download, piece, had, authorization, response);
      if (goes_on.ok() && *goes_on) return;
      state->End(download.get(), piece.get(), goes_on.status());
      state->Pump(true);
    };
    storage_->http().Start(std::move(request), done, delay);
    return Status::OK();
  }

  bool Take(const Download& download, Piece* piece, const HttpResponse& head,
            std::span<const uint8_t> bytes) {
    const Status trouble = CheckHead(download, *piece, head, bytes.size());
    if (!trouble.ok()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      piece->error = trouble;
      return false;
    }
    // What is behind its end is another piece's by now.
    const int64_t n = std::min(static_cast<int64_t>(bytes.size()), piece->size() - piece->received);
    std::memcpy(piece->bytes.get() + piece->received, bytes.data(), static_cast<size_t>(n));
    bytes_received_ += n;
    const std::lock_guard<std::mutex> lock(mutex_);
    piece->received += n;
    Measure(n);
    if (waiting_ > 0) arrived_.notify_all();
    const bool is_cut = piece->received == piece->size() && piece->end < piece->asked_to;
    return !stopped_ && !download.abandoned && !is_cut;
  }

  // Only the client's thread changes `received`, so it is read here without the lock.
  Status CheckHead(const Download& download, const Piece& piece, const HttpResponse& head,
                   size_t bytes) const {
    const source::Object& object = download.object;
    const auto changed = [&](const std::string& why) { return Changed(object, why); };
    const auto generation = head.headers.find("x-goog-generation");
    if (generation != head.headers.end() && object.generation != 0 &&
        generation->second != std::to_string(object.generation)) {
      return changed("was replaced by another while it was read");
    }
    const int64_t asked = piece.asked_to - piece.asked_from;
    if (asked != object.size_bytes && head.status != kPartialContent) {
      return changed("is not served in ranges: it has a Content-Encoding that the service undoes");
    }
    if (head.status == kPartialContent &&
        !IsRange(head, piece.asked_from, piece.asked_to, object)) {
      return changed("is not served in the range that was asked for, or is of another size than " +
                     std::to_string(object.size_bytes) + " bytes");
    }
    const auto length = head.headers.find("content-length");
    if (length != head.headers.end() && length->second != std::to_string(asked)) {
      return changed("is not of the size that its listing says");
    }
    if (piece.begin + piece.received + static_cast<int64_t>(bytes) > piece.asked_to) {
      return changed("is longer than its listing says");
    }
    return Status::OK();
  }

  void Measure(int64_t bytes) {
    if (active_ < count_.count()) full_ = false;
    measured_ += bytes;
    const auto now = Clock::now();
    if (now - since_ < kMeasure) return;
    const double seconds = std::chrono::duration<double>(now - since_).count();
    // A time without transfers says nothing of the network.
    if (full_ && now - since_ < 2 * kMeasure) {
      count_.Measured(static_cast<double>(measured_) / seconds);
    }
    since_ = now;
    measured_ = 0;
    full_ = true;
  }

  // After an answer: true if the piece was begun again, false if it is all there or of no use any
  // more, a Status if it cannot be had.
  Result<bool> GoOn(const DownloadPtr& download, const PiecePtr& piece, int64_t had,
                    const std::string& authorization, const HttpResponse& response) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stopped_ || download->abandoned) return false;
      ARROW_RETURN_NOT_OK(piece->error);
      if (piece->received == piece->size()) return false;
    }
    const std::string& uri = download->object.uri;
    HttpResponse answer = response;
    if (Judge(answer) == Verdict::kDone) {
      answer.error = "the answer ended after " + std::to_string(piece->received) + " of " +
                     std::to_string(piece->size()) + " bytes";
    }
    if (answer.status == kRangeNotSatisfiable) {
      return Changed(download->object, "is shorter than its listing says");
    }
    const Verdict verdict = Judge(answer);
    const bool renew = verdict == Verdict::kUnauthorized && !piece->renewed;
    if (!renew && verdict != Verdict::kAgain) return Refusal(answer, uri);
    piece->renewed = renew;
    if (piece->received > had) piece->attempts = 0;
    if (!renew) ++piece->attempts;
    ++piece->rounds;
    const RetryPolicy& policy = storage_->retry();
    if ((!renew && piece->attempts >= policy.attempts) ||
        piece->rounds >= kMostRounds * policy.attempts) {
      return GivenUp(answer, uri, piece->rounds);
    }
    const auto wait =
        renew ? std::chrono::milliseconds(0) : WaitAfter(policy, piece->attempts, answer);
    storage_->NoteRetry(uri + ", byte " + std::to_string(piece->begin + piece->received), answer,
                        wait, piece->attempts);
    if (answer.status == kTooManyRequests || answer.status == kServiceUnavailable) {
      const std::lock_guard<std::mutex> lock(mutex_);
      count_.TooMany();
    }
    ARROW_RETURN_NOT_OK(Begin(download, piece, wait, renew ? authorization : ""));
    return true;
  }

  void End(Download* download, Piece* piece, const Status& error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    --active_;
    piece->error = error;
    // What comes after a byte that is missing is of no use.
    if (!error.ok()) download->next = download->object.size_bytes;
    arrived_.notify_all();
  }

  CloudStorage* const storage_;
  const FetchOptions options_;
  const std::shared_ptr<PieceMemory> memory_;
  std::atomic<int64_t> bytes_received_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  int waiting_ = 0;
  Clock::duration waited_{0};
  std::map<Key, DownloadPtr> planned_;  // not opened yet
  std::deque<DownloadPtr> queue_;       // of those, the ones to be asked for, in their order
  std::list<DownloadPtr> open_;
  int64_t reserved_ = 0;
  int active_ = 0;
  bool stopped_ = false;
  ConnectionCount count_;
  Clock::time_point since_;
  int64_t measured_ = 0;
  bool full_ = false;  // whether all connections were busy since then
};

class Fetcher::Stream : public ByteStream {
 public:
  Stream(std::shared_ptr<State> state, DownloadPtr download)
      : state_(std::move(state)), download_(std::move(download)) {}
  ~Stream() override { state_->Close(download_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Result<int64_t> Read(std::span<uint8_t> out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t n, state_->Read(download_.get(), at_, out));
    if (n == 0) {
      const auto& crc = download_->object.crc32c;
      if (!crc || *crc == crc_) return 0;
      return Fail(Fault::kInput,
                  "the bytes that arrived are not those that are stored: their CRC-32C differs",
                  {.object = name()},
                  "Run again; if it stays so, look at what is between here and Cloud Storage.");
    }
    crc_ = Crc32c(crc_, out.first(static_cast<size_t>(n)));
    at_ += n;
    return n;
  }

  const std::string& name() const override { return download_->object.uri; }

 private:
  const std::shared_ptr<State> state_;
  const DownloadPtr download_;
  int64_t at_ = 0;
  uint32_t crc_ = 0;
};

Fetcher::Fetcher(CloudStorage* storage, const FetchOptions& options)
    : state_(std::make_shared<State>(storage, options)) {}

Fetcher::~Fetcher() { Stop(); }

void Fetcher::Plan(const source::Object& object) { state_->Plan(object); }
void Fetcher::Forget(const source::Object& object) { state_->Forget(object); }

Result<std::unique_ptr<ByteStream>> Fetcher::Open(const source::Object& object) {
  return std::make_unique<Stream>(state_, state_->Open(object));
}

void Fetcher::Stop() { state_->Stop(); }
int64_t Fetcher::bytes_received() const { return state_->bytes_received(); }
int Fetcher::connections() const { return state_->connections(); }
std::chrono::nanoseconds Fetcher::waited() const { return state_->waited(); }

}  // namespace hayate::cloud
