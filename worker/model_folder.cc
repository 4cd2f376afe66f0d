// See model_folder.h.
#include "worker/model_folder.h"

#include <filesystem>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "worker/checkpoint_folder.h"
#include "worker/file_util.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxRevisionBytes = 128;

// The snapshot that a cache's refs/main names; "" where there is none, or where it would lead out of the cache.
std::string CachedSnapshot(const fs::path& cache) {
  const auto text = ReadFile((cache / "refs" / "main").string(), kMaxRevisionBytes);
  if (!text.ok()) return "";
  const std::string revision(absl::StripSuffix(*text, "\n"));
  return IsSafeFileName(revision) ? (cache / "snapshots" / revision).string() : "";
}

}  // namespace

absl::StatusOr<std::string> FindModel(const std::string& root, const std::string& model) {
  if (root.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("model ", model, " not found: this worker has no models; start it ",
                                                   "with --models and the folder that holds them"));
  }
  const fs::path whole = fs::path(root) / model;
  const fs::path name = fs::path(root) / whole.filename();
  const fs::path cache = fs::path(root) / absl::StrCat("models--", absl::StrReplaceAll(model, {{"/", "--"}}));
  for (const std::string& folder : {whole.string(), name.string(), CachedSnapshot(cache)}) {
    std::error_code ignored;
    if (!folder.empty() && fs::is_regular_file(fs::path(folder) / "config.json", ignored)) return folder;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "model ", model, " not found: no config.json in ", whole.string(), ", ", name.string(), " or ", cache.string(),
      "; get it with: huggingface-cli download ", model, " --local-dir ", whole.string(), "; then sinkctl retry"));
}

}  // namespace sink::worker
