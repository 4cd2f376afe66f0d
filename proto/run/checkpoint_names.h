// What checkpoints and their files are called, in the folder of a run and wherever they travel from there:
//   RUN/checkpoints/step-000001000/     one checkpoint, complete as soon as it has this name
//     manifest.json                     what it holds (manifest.h)
//     model.safetensors, ...            the files, all directly in the folder
// Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sink::run {

inline constexpr char kCheckpointsFolder[] = "checkpoints";

// "step-000001000".
std::string CheckpointFolderName(int64_t step);
// The other way; nothing for any other name, such as that of a checkpoint that is still being written.
std::optional<int64_t> StepOfCheckpointFolder(const std::string& name);

// 1 to 128 of A-Z a-z 0-9 . _ -, not starting with a dot: a name that leads nowhere else, on any file system, and that
// no temporary file or list beside the files can have.
inline constexpr size_t kMaxCheckpointFileName = 128;
bool IsCheckpointFileName(std::string_view name);

// Whether a coordinator takes a file of this name: those that a trainer writes. Loaders of models look for files of
// many other names, and run what some of them hold or name.
bool IsStoredCheckpointFile(std::string_view name);

}  // namespace sink::run
