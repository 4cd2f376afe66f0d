// See checkpoint_stream.h.
#include "coordinator/service/checkpoint_stream.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/service/convert.h"
#include "coordinator/service/opened_checkpoint.h"
#include "coordinator/service/validate.h"

namespace sink {

absl::Status SendCheckpoint(const Checkpoint& row, SentTo whom, CheckpointRepository* repository,
                            absl::FunctionRef<bool(const v1::CheckpointChunk&)> write) {
  const bool people = whom == SentTo::kPeople;
  const absl::Status left = absl::CancelledError("the client has left");
  v1::CheckpointChunk chunk;
  ToProto(people ? AsOpened(row) : row, chunk.mutable_checkpoint());
  if (!write(chunk)) return left;
  chunk.Clear();
  const auto send = [&](const std::string& file, uint64_t offset, std::string& data) {
    chunk.set_file(file);
    chunk.set_offset(offset);
    chunk.set_data(std::move(data));
    return write(chunk) ? absl::OkStatus() : left;
  };
  return people ? ReadAsOpened(row, repository, send) : repository->Read(row, send);
}

absl::StatusOr<uint64_t> ReceiveChunks(const CheckpointKey& key, v1::WriteCheckpointRequest first,
                                       CheckpointRepository* repository,
                                       absl::FunctionRef<bool(v1::WriteCheckpointRequest*)> read) {
  uint64_t bytes = 0;
  std::set<std::string> files;
  absl::Status status;
  v1::WriteCheckpointRequest message = std::move(first);
  do {
    status = ValidateNext(message);
    if (status.ok()) status = repository->Write(key, message.file(), message.offset(), message.data());
    if (!status.ok()) break;
    files.insert(message.file());
    bytes += message.data().size();
  } while (read(&message));
  for (const std::string& file : files) status.Update(repository->SyncFile(key, file));
  if (!status.ok()) return status;
  return bytes;
}

}  // namespace sink
