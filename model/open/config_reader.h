// A model folder's config.json: typed look-ups that name the file and the field when something is wrong. Read-only; any
// thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "model/open/family.h"

namespace sink {

inline constexpr int64_t kMaxConfigMebibytes = 1;
inline constexpr int64_t kMaxModelSize = 1 << 24;  // of any dimension, so that products of two cannot overflow

class ConfigReader {
 public:
  // config.json of a folder, at most 1 MiB. ModelError naming it when it is missing or no JSON object.
  static ConfigReader Open(const std::filesystem::path& directory);
  ConfigReader(std::string name, nlohmann::json root);

  // null counts as absent, as in Hugging Face. ModelError on other types and on sizes outside 1 .. kMaxModelSize.
  int64_t Size(const char* field) const;  // must be there
  int64_t SizeOr(const char* field, int64_t otherwise) const;
  double NumberOr(const char* field, double otherwise) const;  // finite and positive
  bool FlagOr(const char* field, bool otherwise) const;
  std::string TextOr(const char* field, const std::string& otherwise) const;
  bool Has(const char* field) const;

  // Hugging Face's names of activations.
  OpenActivation Activation(const char* field, const std::string& otherwise) const;
  // rope_theta, rope_scaling and partial_rotary_factor, at the top or in rope_parameters. `share` of a head is rotated
  // where nothing says otherwise.
  RopeConfig Rope(int64_t head_dim, double theta, double share) const;
  // heads, and hidden_size / heads, which must divide.
  int64_t Heads(const char* field, int64_t hidden_size) const;
  // ModelError unless the flag is `value`, which is also what its absence means.
  void Expect(const char* field, bool value) const;

  [[noreturn]] void Fail(const std::string& what) const;  // ModelError "<file>: <what>"

 private:
  const nlohmann::json* Find(const char* field) const;

  std::string name_;
  nlohmann::json root_;
};

// The model that config.json describes. ModelError when it is of no family we read.
OpenConfig ReadOpenConfig(const std::filesystem::path& directory);
OpenConfig ReadOpenConfig(const ConfigReader& reader);

// Whether a folder is for this engine: one that transformers wrote. Our own folders are for model_directory.h: their
// model_type is "sink", or "llama" without the transformers_version that transformers leaves in all of its folders.
bool IsOpenModel(const std::filesystem::path& directory);

}  // namespace sink
