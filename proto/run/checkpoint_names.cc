#include "proto/run/checkpoint_names.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "proto/run/checkpoint_settings.h"
#include "proto/run/manifest.h"
#include "proto/run/modeling_sink.h"

namespace sink::run {

std::string CheckpointFolderName(int64_t step) {
  char name[40];
  std::snprintf(name, sizeof name, "step-%09lld", static_cast<long long>(step));
  return name;
}

std::optional<int64_t> StepOfCheckpointFolder(const std::string& name) {
  long long step = 0;
  if (std::sscanf(name.c_str(), "step-%18lld", &step) != 1 || step < 0) return std::nullopt;
  if (CheckpointFolderName(step) != name) return std::nullopt;
  return step;
}

bool IsCheckpointFileName(std::string_view name) {
  if (name.empty() || name.size() > kMaxCheckpointFileName || name[0] == '.') return false;
  return name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
         std::string_view::npos;
}

bool IsStoredCheckpointFile(std::string_view name) {
  constexpr std::string_view kNames[] = {kManifestName,          kModelSettings,    "model.safetensors",
                                         kModelingSinkFile,      "tokenizer.json",  "tokenizer.model",
                                         kTokenizerSettings,     "optimizer.state", "trainer.json",
                                         "optimizer.safetensors"};  // the last: of old, for .state
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

}  // namespace sink::run
