#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "hayate/base/byte_stream.h"
#include "hayate/base/status.h"
#include "hayate/cloud/storage.h"
#include "hayate/source/source.h"

namespace hayate::cloud {

struct FetchOptions {
  /// An object of at most this size is one request, a larger one several.
  int64_t piece_bytes = 1 << 20;
  /// Of pieces that have been asked for and not yet been read; each open stream may have one more.
  int64_t budget_bytes = 256 << 20;
  int least_connections = 4;
  int first_connections = 32;
  int most_connections = 64;
  /// A piece is shared out if it would take longer than this, and has been under way for as long,
  /// and more than so many bytes of it are left.
  std::chrono::milliseconds split_after{500};
  int64_t split_bytes = 64 << 10;
};

/// Objects of Cloud Storage on many connections at once, ahead of those who read them.
///
/// An object is asked for in pieces, and a piece only once there is memory for it: so memory is
/// bounded, no transfer is ever paused, and one that brings nothing is in trouble. What fails goes
/// on from the byte where it stopped. The number of connections doubles unless that brings fewer
/// bytes a second, and is halved where the service asks for less. A connection that has nothing
/// else to do takes over the end of the piece that would be there last.
class Fetcher {
 public:
  /// `storage` must outlive it.
  Fetcher(CloudStorage* storage, const FetchOptions& options);
  /// Ends all transfers. No stream may be in use.
  ~Fetcher();

  /// Says that an object will be opened: they are fetched in the order in which this is said.
  void Plan(const source::Object& object);

  /// Takes that back, for an object that was not opened.
  void Forget(const source::Object& object);

  /// An object's bytes in its generation, from the first to the last. The end is reached only if
  /// they are as many as the object has and of its CRC-32C, where that is known; else
  /// Fault::kInput. Fault::kInterrupted after Stop.
  Result<std::unique_ptr<ByteStream>> Open(const source::Object& object);

  /// Ends what is under way and what is to come. From any thread.
  void Stop();

  int64_t bytes_received() const;
  /// How many transfers may be under way at once, as of now.
  int connections() const;
  /// How long streams have waited for bytes, added up over the threads that read them.
  std::chrono::nanoseconds waited() const;

 private:
  class State;
  class Stream;
  const std::shared_ptr<State> state_;
};

}  // namespace hayate::cloud
