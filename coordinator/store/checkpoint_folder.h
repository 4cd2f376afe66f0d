// By what a folder of checkpoints is known: a file in it with a random number, which the database of its rows keeps,
// too. Where the disk of the checkpoints is not mounted the folder looks like an empty one, and only the number tells
// that it is not the one whose files the rows name. The file goes wherever the folder goes. Stateless; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/store/job_store.h"

namespace sink::store {

// The file's name in the folder. It begins with no dot, so that `mv checkpoints/* elsewhere` takes it along.
inline constexpr char kFolderIdName[] = "folder-id";
// The mark (JobStore) of the number in the database; 0: it knows none.
inline constexpr char kFolderIdMark[] = "checkpoint_folder";

// What the folder's file says; 0: there is none, or it holds no number. Errors of the file system where it cannot be
// known.
absl::StatusOr<int64_t> ReadFolderId(const std::string& folder);

// The same; where it is 0, a new number, which is durably in the folder from then on. Makes the folder.
absl::StatusOr<int64_t> GiveFolderId(const std::string& folder);

// For the start of a coordinator: the number that its folder of checkpoints must have to be the one that the database
// speaks of. As long as the database knows none, or names no checkpoint that could be lost, it is the one that the
// folder has or is given here, and the database knows it from then on. Where the database knows none and names
// checkpoints of which nothing lies in the folder, whose disk may not be mounted, the folder is given none.
absl::StatusOr<int64_t> KnownFolderId(JobStore* store, const std::string& folder);

}  // namespace sink::store
