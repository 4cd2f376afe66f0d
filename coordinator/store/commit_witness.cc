// See commit_witness.h. Format: one line of one length, so that a write replaces all of it and one block of the disk
// has it: "commits <19 digits> of <19 digits> in file <19 digits> sum <the hash of what stands before this word>\n".
#include "coordinator/store/commit_witness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "proto/files/hash.h"

namespace sink::store {
namespace {

constexpr mode_t kMode = 0600;
constexpr size_t kDigits = 19, kCommitsAt = 8, kDatabaseAt = kCommitsAt + kDigits + 4;
constexpr size_t kInFileAt = kDatabaseAt + kDigits + 9;
constexpr size_t kLineBytes = kInFileAt + kDigits + 5 + files::kHashDigits + 1;

std::string LineOf(const Witness& witness) {
  const std::string said = absl::StrFormat("commits %019d of %019d in file %019d", witness.count.commits,
                                           witness.count.database, witness.in_file);
  return absl::StrFormat("%s sum %s\n", said, files::Hash(said));
}

}  // namespace

CommitWitness::CommitWitness(const std::string& database) : database_(database), path_(WitnessPath(database)) {}

void CommitWitness::Write(const Witness& witness) {
  if (!file_.valid()) {
    auto opened = files::Open(path_, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, kMode);
    if (!opened.ok()) return;
    file_ = *std::move(opened);
    // As SQLite does with what it keeps beside the file: root may have started this, and somebody else goes on.
    struct stat owner {};
    if (stat(database_.c_str(), &owner) == 0) static_cast<void>(fchown(file_.get(), owner.st_uid, owner.st_gid));
  }
  static_cast<void>(files::WriteAt(file_, path_, 0, LineOf(witness)));
}

std::string WitnessPath(const std::string& database) { return database + "-commits"; }

std::optional<Witness> ReadWitness(const std::string& database) {
  const std::string path = WitnessPath(database);
  const auto file = files::Open(path, O_RDONLY | O_NONBLOCK);  // also of a pipe, which is none
  if (!file.ok() || !files::SizeOf(*file, path).ok()) return std::nullopt;
  std::string said;
  if (files::ReadAt(*file, path, 0, kLineBytes, &said) || said.size() != kLineBytes) return std::nullopt;
  Witness witness;
  if (!absl::SimpleAtoi(said.substr(kCommitsAt, kDigits), &witness.count.commits) ||
      !absl::SimpleAtoi(said.substr(kDatabaseAt, kDigits), &witness.count.database) ||
      !absl::SimpleAtoi(said.substr(kInFileAt, kDigits), &witness.in_file)) {
    return std::nullopt;
  }
  return LineOf(witness) == said ? std::optional(witness) : std::nullopt;
}

}  // namespace sink::store
