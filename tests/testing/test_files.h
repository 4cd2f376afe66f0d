// Files that tests make and look at; what fails ends the test with the reason.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include "proto/files/files.h"
#include "proto/files/hash.h"

namespace sink::testing {

inline void WriteFile(const std::filesystem::path& path, std::string_view bytes) {
  if (const auto error = files::WriteFile(path, bytes, /*sync=*/false)) throw std::runtime_error(error.message());
}

inline std::string ReadFile(const std::filesystem::path& path) {
  auto bytes = files::ReadFile(path, size_t{1} << 30);
  if (!bytes.ok()) throw std::runtime_error(bytes.error().message());
  return *std::move(bytes);
}

// XXH3-128, as hex.
inline std::string HashOf(const std::filesystem::path& path) { return files::Hash(ReadFile(path)); }

// How many files and folders are directly in the folder, hidden ones too: so that leftovers are seen.
inline size_t EntriesIn(const std::filesystem::path& folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

}  // namespace sink::testing
