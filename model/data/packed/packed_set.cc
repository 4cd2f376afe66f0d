// See packed_set.h.
#include "model/data/packed/packed_set.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "model/base/data_error.h"
#include "model/data/packed/reading.h"
#include "model/data/tokenizer/tokenizer.h"
#include "proto/files/files.h"
#include "proto/files/shell_word.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxSetFileBytes = 64 << 20;
constexpr std::string_view kSuffix = ".bin";

bool IsNumber(std::string_view text) {
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string CutLastField(std::string_view* stem) {
  const size_t underscore = stem->rfind('_');
  if (underscore == std::string_view::npos) return "";
  std::string field(stem->substr(underscore + 1));
  *stem = stem->substr(0, underscore);
  return field;
}

PackedSet ListForeignSet(const fs::path& folder) {
  PackedSet set;
  set.folder = folder;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    std::optional<SetFile> file = ParseSetFileName(entry.path().filename().string());
    if (!file) continue;
    const PackedFile packed(entry.path());
    if (packed.header().tokens % set.block != 0) {
      throw DataError(packed.path() + ": " + std::to_string(packed.header().tokens) +
                      " tokens are not whole blocks of " + std::to_string(set.block) + ", and there is no " +
                      kSetFileName + " beside it that tells another block size; re-run sink-data pack");
    }
    file->blocks = packed.header().tokens / set.block;
    set.files.push_back(*std::move(file));
  }
  std::sort(set.files.begin(), set.files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return set;
}

}  // namespace

std::optional<SetFile> ParseSetFileName(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  std::string_view stem = name.substr(0, name.size() - kSuffix.size());
  const std::string counter = CutLastField(&stem);
  const std::string id = CutLastField(&stem);
  const size_t underscore = stem.find('_');
  if (!IsNumber(counter) || !IsNumber(id) || underscore == std::string_view::npos) return std::nullopt;
  SetFile file = {.name = std::string(name),
                  .split = std::string(stem.substr(0, underscore)),
                  .domain = std::string(stem.substr(underscore + 1))};
  if ((file.split != "train" && file.split != "valid") || file.domain.empty()) return std::nullopt;
  if (name.find('/') != std::string_view::npos) return std::nullopt;
  return file;
}

std::string SetFileName(std::string_view split, std::string_view domain, int64_t id, int64_t counter) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%010lld", static_cast<long long>(counter));
  return std::string(split) + "_" + std::string(domain) + "_" + std::to_string(id) + "_" + digits +
         std::string(kSuffix);
}

std::string_view WithoutShard(std::string_view domain) {
  const size_t dash = domain.rfind('-');
  const bool shard = dash != std::string_view::npos && dash > 0 && IsNumber(domain.substr(dash + 1));
  return shard ? domain.substr(0, dash) : domain;
}

std::string DomainsText(const PackedSet& set, std::string_view split) {
  std::map<std::string_view, std::set<std::string_view>> shards;  // of each domain
  for (const SetFile& file : set.files) {
    if (file.split == split) shards[WithoutShard(file.domain)].insert(file.domain);
  }
  std::string text;
  for (const auto& [domain, names] : shards) {
    const bool alone = names.size() == 1;
    text += (text.empty() ? "" : ", ") + std::string(alone ? *names.begin() : domain) +
            (alone ? "" : " (" + std::to_string(names.size()) + " shards)");
  }
  return text;
}

PackedSet OpenSet(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw DataError(folder.string() + ": no such folder; make it with sink-data pack --out " +
                    files::ShellWord(folder.string()));
  }
  PackedSet set;
  if (fs::exists(folder / kSetFileName, error)) {
    const fs::path path = folder / kSetFileName;
    set = ParseSet(OrThrowReading(files::ReadFile(path, kMaxSetFileBytes)), path.string());
    set.folder = folder;
  } else {
    set = ListForeignSet(folder);
  }
  if (set.files.empty()) {
    throw DataError(folder.string() + ": holds no packed files ({split}_{name}_{id}_{counter}.bin); re-run sink-data " +
                    "pack");
  }
  return set;
}

int64_t TextTokens(const PackedFile& file) {
  const fs::path path = fs::absolute(file.path());
  if (!fs::exists(path.parent_path() / kSetFileName)) return file.header().tokens;
  const PackedSet set = OpenSet(path.parent_path());
  for (const SetFile& entry : set.files) {
    if (entry.name == path.filename()) return std::min(entry.blocks * set.block, file.header().tokens);
  }
  return file.header().tokens;
}

std::string PrintSet(const PackedSet& set) {
  Json sources = Json::array(), files = Json::array();
  for (const SetSource& source : set.sources) {
    Json entry = {{"path", source.path},
                  {"bytes", source.bytes},
                  {"documents", source.documents},
                  {"bad_lines", source.bad_lines},
                  {"tokens", source.tokens}};
    if (!source.xxh3.empty()) entry["xxh3"] = source.xxh3;
    sources.push_back(std::move(entry));
  }
  for (const SetFile& file : set.files) {
    files.push_back({{"name", file.name}, {"blocks", file.blocks}});
    if (!file.xxh3.empty()) files.back()["xxh3"] = file.xxh3;
  }
  Json json = {{"format", "sink/packed/v1"},
               {"block", set.block},
               {"chunk_blocks", set.chunk_blocks},
               {"valid_chunk_blocks", set.valid_chunk_blocks}};
  // What came later stands there only where it is not the default, so that older sets and newer ones are alike.
  if (set.drop_tail) json["drop_tail"] = true;
  if (set.text_key != kTextKey) json["text_key"] = set.text_key;
  if (set.tokenizer) {
    json["tokenizer"] = {{"name", set.tokenizer->name},
                         {"hash", set.tokenizer->hash},
                         {"vocab_size", set.tokenizer->vocab_size},
                         {"eos_id", set.tokenizer->eos_id}};
  }
  json["sources"] = std::move(sources);
  json["files"] = std::move(files);
  return json.dump(1) + "\n";
}

PackedSet ParseSet(std::string_view text, const std::string& name) {
  PackedSet set;
  try {
    const Json json = Json::parse(text);
    if (json.at("format") != "sink/packed/v1") throw DataError(name + ": unknown format; re-run sink-data pack");
    json.at("block").get_to(set.block);
    json.at("chunk_blocks").get_to(set.chunk_blocks);
    json.at("valid_chunk_blocks").get_to(set.valid_chunk_blocks);
    set.drop_tail = json.value("drop_tail", false);
    set.text_key = json.value("text_key", set.text_key);
    if (set.block < 2 || set.block > kMaxPackedTokens) throw DataError(name + ": impossible block size");
    if (json.contains("tokenizer")) {
      const Json& tokenizer = json["tokenizer"];
      set.tokenizer = SetTokenizer{.name = tokenizer.at("name"),
                                   .hash = tokenizer.at("hash"),
                                   .vocab_size = tokenizer.at("vocab_size"),
                                   .eos_id = tokenizer.at("eos_id")};
    }
    // It is joined to folders' paths.
    if (set.tokenizer && set.tokenizer->name != kBytesTokenizer && set.tokenizer->name != "tokenizer.json" &&
        set.tokenizer->name != "tokenizer.model") {
      throw DataError(name + ": \"" + set.tokenizer->name + "\" is not the name of a set's tokenizer");
    }
    for (const Json& source : json.at("sources")) {
      set.sources.push_back({.path = source.at("path"),
                             .bytes = source.at("bytes"),
                             .xxh3 = source.value("xxh3", std::string()),
                             .documents = source.at("documents"),
                             .bad_lines = source.at("bad_lines"),
                             .tokens = source.at("tokens")});
    }
    for (const Json& entry : json.at("files")) {
      const auto file_name = entry.at("name").get<std::string>();
      std::optional<SetFile> file = ParseSetFileName(file_name);
      if (!file) throw DataError(name + ": \"" + file_name + "\" is not the name of a packed file");
      file->blocks = entry.at("blocks");
      file->xxh3 = entry.value("xxh3", "");
      if (file->blocks < 1 || file->blocks > kMaxPackedTokens / set.block) {
        throw DataError(name + ": impossible number of blocks of " + file_name);
      }
      set.files.push_back(*std::move(file));
    }
  } catch (const nlohmann::json::exception& error) {
    throw DataError(name + ": damaged (" + error.what() + "); re-run sink-data pack");
  }
  return set;
}

}  // namespace sink::data
