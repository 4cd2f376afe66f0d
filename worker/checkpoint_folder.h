// A checkpoint as the worker sees it: a folder of files that its manifest.json lists with sizes and hashes. What is in
// the files is the trainer's business. Functions of the file system only; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sink::worker {

struct ManifestFile {
  std::string name;  // [A-Za-z0-9._-]+, not starting with a dot
  uint64_t size = 0;
  std::string xxh3;  // XXH3-128, 32 hex digits
};

struct Manifest {
  int64_t step = 0;
  std::vector<ManifestFile> files;  // manifest.json itself last, with `hash` as its xxh3
  std::string hash;                 // XXH3-128 of manifest.json: the checkpoint's identity
};

// "step-000001000".
std::string CheckpointFolderName(int64_t step);

// Parses FOLDER/manifest.json. NotFound without one, DataLoss when it is malformed or lists an unsafe name.
absl::StatusOr<Manifest> ReadManifest(const std::string& folder);

// Checks that every listed file has its size and hash. DataLoss names the first that has not.
absl::Status VerifyCheckpoint(const std::string& folder, const Manifest& manifest);

bool IsSafeFileName(std::string_view name);

// XXH3-128 of a whole file, as 32 hex digits.
absl::StatusOr<std::string> HashFile(const std::string& path);

// Makes `to` hold the manifest's files as hard links to those in `from`, or copies where links do not go. The files of
// a checkpoint never change, and a link keeps them alive when the trainer deletes the folder. `to` appears complete or
// not at all.
absl::Status LinkCheckpoint(const std::string& from, const std::string& to, const Manifest& manifest);

}  // namespace sink::worker
