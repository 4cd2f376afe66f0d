// CHECKPOINT/manifest.json, which the trainer writes as the last file of a checkpoint and by which everybody else knows
// whether it is whole:
//   {
//    "files": [{"name": "config.json", "size": 520, "xxh3": "<32 hex digits>"}, ...],   by name, without itself
//    "step": 1000
//   }
// name: IsCheckpointFileName; size: bytes; xxh3: XXH3-128 of the content. The XXH3-128 of manifest.json's own bytes is
// the checkpoint's identity, on the wire too: a reader must never print it anew. Stateless functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/files/file_error.h"

namespace sink::run {

inline constexpr char kManifestName[] = "manifest.json";
inline constexpr size_t kMaxManifestBytes = 1 << 20;
inline constexpr size_t kMaxManifestFiles = 1000;

struct ManifestFile {
  std::string name;
  uint64_t size = 0;
  std::string xxh3;

  bool operator==(const ManifestFile&) const = default;
};

struct Manifest {
  int64_t step = 0;
  std::vector<ManifestFile> files;  // those listed, and manifest.json itself last
  std::string hash;                 // of manifest.json: the checkpoint's identity
};

// Syncs every file of the folder, and writes the manifest that lists them, durably up to the folder's own sync. Returns
// what ReadManifest will. kDamaged when a file's name is not one for a checkpoint, or there are too many.
files::FileResult<Manifest> WriteManifest(const std::string& folder, int64_t step);

// Reads FOLDER/manifest.json. ENOENT without one; kDamaged when it is malformed or names what is not in the folder.
files::FileResult<Manifest> ReadManifest(const std::string& folder);

// Reads every file and compares it with the manifest. kDamaged names the first that is missing, has another size or
// another hash, or is a symbolic link.
files::FileError VerifyCheckpoint(const std::string& folder, const Manifest& manifest);

// The two halves of the file format, for both of which `where` names the file in errors. The text may be anybody's.
std::string PrintManifest(int64_t step, const std::vector<ManifestFile>& files);
files::FileResult<Manifest> ParseManifest(const std::string& text, const std::string& where);

}  // namespace sink::run
