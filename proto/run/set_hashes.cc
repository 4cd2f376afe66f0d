// See set_hashes.h.
#include "proto/run/set_hashes.h"

#include <cerrno>
#include <utility>

#include "proto/files/files.h"
#include "proto/files/hash.h"

namespace sink::run {
namespace {

constexpr size_t kMaxHashesBytes = 256 << 20;
constexpr std::string_view kBetween = "  ";  // a hash and its file's name

}  // namespace

std::string PrintSetHashes(const SetHashes& hashes) {
  std::string text;
  for (const auto& [name, hash] : hashes) text.append(hash).append(kBetween).append(name).append("\n");
  return text;
}

files::FileResult<SetHashes> ParseSetHashes(std::string_view text, const std::string& name) {
  SetHashes hashes;
  size_t number = 0;  // of the line
  do {
    ++number;
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const std::string_view hash = line.substr(0, files::kHashDigits);
    const std::string_view rest = line.substr(hash.size());
    if (end == std::string_view::npos || hash.size() != files::kHashDigits ||
        hash.find_first_not_of("0123456789abcdef") != std::string_view::npos || !rest.starts_with(kBetween) ||
        rest.size() == kBetween.size() || rest.find('/') != std::string_view::npos) {
      return files::FileError(files::kDamaged, name + ": line " + std::to_string(number) +
                                                   " is not the hash of a packed file: it may have been cut short");
    }
    hashes[std::string(rest.substr(kBetween.size()))] = std::string(hash);
    text.remove_prefix(end + 1);
  } while (!text.empty());
  return hashes;
}

files::FileResult<SetHashes> ReadSetHashes(const std::string& folder) {
  const std::string path = folder + "/" + kSetHashesFile;
  const auto text = files::ReadFile(path, kMaxHashesBytes);
  if (text.ok()) return ParseSetHashes(*text, path);
  if (text.error().code() == ENOENT) return SetHashes();
  return text.error();
}

files::FileError OtherContent(const std::string& path) {
  return {files::kDamaged,
          path + " has the right size and other bytes than were packed: its hash is not that in " + kSetHashesFile};
}

}  // namespace sink::run
