// A checkpoint that a test has in memory, as a trainer makes one: files, and the manifest that lists them. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proto/files/hash.h"
#include "proto/run/manifest.h"
#include "sink/v1/worker.pb.h"

namespace sink::testing {

// `files`: pairs of a name and a content; a manifest among them is passed over.
template <typename Files>
std::string ManifestOf(int64_t step, const Files& files) {
  std::vector<run::ManifestFile> listed;
  for (const auto& [name, content] : files)
    if (name != run::kManifestName) listed.push_back({name, content.size(), files::Hash(content)});
  return run::PrintManifest(step, listed);
}

// A checkpoint of two files and its manifest, in memory; as it is made, that of step 10.
struct TestCheckpoint {
  std::vector<std::pair<std::string, std::string>> files;  // name, content; the manifest last
  std::optional<std::string> manifest;                     // in place of the one that lists the others

  explicit TestCheckpoint(const std::string& seed = "x")
      : files({{"model.safetensors", std::string(600'000, seed[0])}, {"tokenizer.json", ""}, {"manifest.json", ""}}) {
    *this = Of(10);
  }
  // The same files as a checkpoint of that step.
  TestCheckpoint Of(int64_t step) const {
    TestCheckpoint made = *this;
    made.files.back().second = manifest ? *manifest : ManifestOf(step, files);
    return made;
  }
  std::string hash() const { return files::Hash(files.back().second); }

  template <typename Request>
  void AddTo(Request* request) const {
    request->set_manifest_hash(hash());
    for (const auto& [name, content] : files) {
      v1::CheckpointFile* file = request->add_files();
      file->set_name(name);
      file->set_size(content.size());
      file->set_xxh3(files::Hash(content));
    }
  }
};

}  // namespace sink::testing
