// A model folder's config.json: typed look-ups that name the file and the field when something is wrong. Read-only; any
// thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/open/family.h"

namespace sink {

inline constexpr int64_t kMaxConfigMebibytes = 1;
inline constexpr int64_t kMaxModelSize = 1 << 24;  // of any dimension, so that products of two cannot overflow

// What a family says about RoPE where config.json says nothing, and how its fields are called.
struct RopeReading {
  int64_t head_dim = 0;
  int64_t max_positions = 0;
  double theta = 1e4;
  double share = 1;      // of a head that is rotated
  bool partial = false;  // whether the family heeds partial_rotary_factor
  bool interleaved = false;
  bool long_rope = false;          // whether "su" and "yarn" are old names of longrope
  int64_t original_positions = 0;  // unless config.json says so at its top; 0: the object's, or else max_positions
  const char* theta_field = "rope_theta";  // at the top of config.json
  const char* share_field = "partial_rotary_factor";
  // Of Gemma 3, which has an object in rope_parameters for each kind of layer; rope_scaling is then of the full layers.
  const char* part = nullptr;
};

class ConfigReader {
 public:
  // config.json of a folder, at most 1 MiB. ModelError naming it when it is missing or no JSON object.
  static ConfigReader Open(const std::filesystem::path& directory);
  ConfigReader(std::string name, nlohmann::json root);

  // null counts as absent, as in Hugging Face, unless `of_null` says otherwise. ModelError on other types and on sizes
  // outside 1 .. kMaxModelSize.
  int64_t Size(const char* field) const;  // must be there
  int64_t SizeOr(const char* field, int64_t otherwise) const { return SizeOr(field, otherwise, otherwise); }
  int64_t SizeOr(const char* field, int64_t of_absent, int64_t of_null) const;
  double Number(const char* field) const;  // must be there
  double NumberOr(const char* field, double otherwise) const { return NumberOr(field, otherwise, otherwise); }
  double NumberOr(const char* field, double of_absent, double of_null) const;  // finite and positive
  bool FlagOr(const char* field, bool otherwise) const;
  std::string TextOr(const char* field, const std::string& otherwise) const;
  bool Has(const char* field) const;
  ConfigReader Part(const char* field) const;  // an object; empty where absent
  std::string Print() const { return root_.dump(); }

  // num_hidden_layers or whatever it is called: at most 10,000.
  int64_t Layers(const char* field) const;
  // Hugging Face's names of activations.
  OpenActivation Activation(const char* field, const std::string& otherwise) const;
  // As transformers 5 reads it: the object rope_scaling (version 4's) or else rope_parameters, and for theta and the
  // share that is rotated, where that object lacks them, the fields at the top.
  RopeConfig Rope(const RopeReading& reading) const;
  // A layer's window, by layer_types where there are such, else by `slides`.
  std::vector<LayerKind> Kinds(int64_t layers, int64_t window, const std::function<bool(int64_t)>& slides) const;
  // The whole numbers of a list of `size`, each 0 or 1; empty where the field is absent.
  std::vector<bool> Flags(const char* field, int64_t size) const;
  // heads, and hidden_size / heads, which must divide.
  int64_t Heads(const char* field, int64_t hidden_size) const;
  // ModelError unless the flag is `value`, which is also what its absence means.
  void Expect(const char* field, bool value) const;

  [[noreturn]] void Fail(const std::string& what) const;  // ModelError "<file>: <what>"

 private:
  const nlohmann::json* Find(const char* field) const;  // null: absent, or a null
  bool IsNull(const char* field) const;
  ConfigReader RopeObject(const RopeReading& reading) const;
  double Scale(const char* field) const;  // may be 0, and is where absent
  std::vector<double> Factors(const char* field, int64_t size) const;
  void ReadScaling(const ConfigReader& inner, const std::string& type, RopeConfig& rope) const;

  std::string name_;
  nlohmann::json root_;
};

// The model that config.json describes. ModelError when it is of no family we read.
OpenConfig ReadOpenConfig(const std::filesystem::path& directory);
OpenConfig ReadOpenConfig(const ConfigReader& reader);

}  // namespace sink
