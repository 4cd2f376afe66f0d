// The tokenizer of the set that a run trains on, as files that its checkpoints carry, so that a checkpoint can be given
// texts: sink-eval --texts, transformers.AutoTokenizer, generate(). Reads files only; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace sink::train {

struct TokenizerFiles {
  std::map<std::string, std::string> content;  // by name
  std::optional<int64_t> eos_id;               // what ends a document in the set
};

// The set's tokenizer.json or tokenizer.model as it is, for bytes a tokenizer.json of the same ids, and a
// tokenizer_config.json that names the end of a text, says that nothing stands before it, as in packed sets, and that
// a model of `positions` positions reads it. Nothing of a set without set.json. data::DataError where a file is missing
// or damaged.
TokenizerFiles ReadSetTokenizer(const std::filesystem::path& set, int64_t positions);

}  // namespace sink::train
