// See commit_witness.h. Format: one line of one length, so that a write replaces all of it and one block of the disk
// has it: "commits <19 digits> of <19 digits> in file <19 digits> sum <the hash of what stands before this word>\n".
#include "coordinator/store/commit_witness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
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

std::optional<Witness> Parse(const std::string& said) {
  Witness witness;
  if (said.size() != kLineBytes || !absl::SimpleAtoi(said.substr(kCommitsAt, kDigits), &witness.count.commits) ||
      !absl::SimpleAtoi(said.substr(kDatabaseAt, kDigits), &witness.count.database) ||
      !absl::SimpleAtoi(said.substr(kInFileAt, kDigits), &witness.in_file)) {
    return std::nullopt;
  }
  return LineOf(witness) == said ? std::optional(witness) : std::nullopt;
}

absl::Status Unusable(const std::string& database, const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat(why, ". It says how many commits were acknowledged in ", database,
                   ", and without it nobody sees whether any of them are gone; nothing was changed: put it back as it ",
                   "was, or remove it to go on without this check"));
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

absl::StatusOr<std::optional<Witness>> ReadWitness(const std::string& database) {
  const std::string path = WitnessPath(database);
  // As it is written: not through a link, and a pipe is not waited for.
  const auto file = files::Open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file.ok() && file.error().code() == ENOENT) return std::nullopt;
  if (!file.ok()) return Unusable(database, file.error().message());
  const auto size = files::SizeOf(*file, path);
  if (!size.ok()) return Unusable(database, size.error().message());
  std::string said, before;
  do {
    before = std::move(said);
    if (const auto failed = files::ReadAt(*file, path, 0, kLineBytes, &said))
      return Unusable(database, failed.message());
    if (const auto witness = Parse(said)) return witness;
  } while (said != before);  // a coordinator that runs may be writing it, and damage stays as it is
  const bool unwritten = *size <= kLineBytes && said.find_first_not_of('\0') == std::string::npos;
  if (unwritten) return std::nullopt;
  return Unusable(database, absl::StrCat(path, " is damaged: it does not begin with a line of ", kLineBytes,
                                         " characters that ends with its own hash"));
}

}  // namespace sink::store
