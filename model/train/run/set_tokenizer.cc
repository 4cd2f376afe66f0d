#include "model/train/run/set_tokenizer.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "model/base/data_error.h"
#include "model/base/or_throw.h"
#include "model/data/packed/packed_set.h"
#include "model/data/tokenizer/tokenizer.h"
#include "model/data/tokenizer/tokenizer_json.h"
#include "proto/files/files.h"

namespace sink::train {
namespace {

using Json = nlohmann::json;

constexpr char kTokenizerJson[] = "tokenizer.json", kConfigFile[] = "tokenizer_config.json";
constexpr int kBytes = 256;

// A byte-level BPE without merges, each byte its own token, as the `tokenizers` library reads it.
std::string ByteTokenizerJson(int64_t eos_id, const std::string& eos_text) {
  data::BpeSpec spec;
  for (int byte = 0; byte < kBytes; ++byte) spec.vocab.push_back({std::string(1, static_cast<char>(byte)), byte});
  spec.added = {{.content = eos_text, .id = static_cast<int32_t>(eos_id)}};
  return data::PrintTokenizerJson(spec, /*raw=*/true);
}

}  // namespace

TokenizerFiles ReadSetTokenizer(const std::filesystem::path& set, int64_t positions) {
  const std::optional<data::SetTokenizer> stated = data::OpenSet(set).tokenizer;
  if (!stated) return {};
  const bool bytes = stated->name == data::kBytesTokenizer;
  const std::string name = bytes ? kTokenizerJson : stated->name;
  const std::filesystem::path path = set / name;
  TokenizerFiles files{.content = {}, .eos_id = stated->eos_id};
  std::unique_ptr<data::Tokenizer> tokenizer = data::NewByteTokenizer();
  if (!bytes) {
    files.content[name] = OrThrow<data::DataError>(files::ReadFile(path, data::kMaxTokenizerBytes));
    tokenizer = data::NewTokenizer(files.content[name], path);
  }
  const std::string eos_text = tokenizer->Decode({{stated->eos_id}});
  if (bytes) files.content[name] = ByteTokenizerJson(stated->eos_id, eos_text);
  const bool json = name == kTokenizerJson;
  Json config = {{"tokenizer_class", json ? "PreTrainedTokenizerFast" : "LlamaTokenizer"},
                 {"eos_token", eos_text},
                 {"add_bos_token", false},
                 {"add_eos_token", false},
                 {"clean_up_tokenization_spaces", false},
                 {"model_max_length", positions}};
  if (!json) config["legacy"] = false;  // as SentencePiece itself cuts what follows a special token
  files.content[kConfigFile] = config.dump(1) + "\n";
  return files;
}

}  // namespace sink::train
