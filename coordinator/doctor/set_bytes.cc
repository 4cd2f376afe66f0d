// See set_bytes.h.
#include "coordinator/doctor/set_bytes.h"

#include <filesystem>
#include <system_error>

#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"

namespace sink::doctor {

uint64_t HashedBytes(const std::string& folder) {
  const auto hashes = run::ReadSetHashes(folder);
  if (!hashes.ok()) return 0;
  uint64_t bytes = 0;
  for (const auto& [name, hash] : *hashes) {
    std::error_code error;
    const uint64_t size = std::filesystem::file_size(folder + "/" + name, error);
    if (!error) bytes += size;
  }
  return bytes;
}

files::FileError FindOtherBytes(const std::string& folder, const std::function<bool(uint64_t read)>& go_on) {
  const auto hashes = run::ReadSetHashes(folder);
  if (!hashes.ok()) return hashes.error();
  uint64_t before = 0;  // of the files that are right
  for (const auto& [name, hash] : *hashes) {
    const std::string path = folder + "/" + name;
    const auto here = files::HashFileInPieces(path, [&](uint64_t done) { return go_on(before + done); });
    if (!here.ok()) return here.error();
    if (here->xxh3 != hash) return run::OtherContent(path);
    before += here->size;
  }
  return {};
}

}  // namespace sink::doctor
