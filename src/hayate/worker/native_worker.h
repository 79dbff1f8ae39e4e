#pragma once

namespace hayate::worker {

/// Body of the hidden command `hayate worker --native`: says hello on HAYATE_FD, runs the tasks
/// that come (ingest, shuffle, commit, consolidate, output, checksum, verify;
/// docs/formats/protocol.md) until it is told to exit or the other side is gone. Returns the
/// process's exit code.
int RunNativeWorker();

}  // namespace hayate::worker
