// The pair of files in which older folders of byte-level models (OPT, GPT-2) have their tokenizer: vocab.json, an
// object of ids by token, and merges.txt, a line a merge. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace sink::data {

struct VocabMerges {
  std::string_view vocab;   // vocab.json
  std::string_view merges;  // merges.txt
  std::string_view config;  // tokenizer_config.json, which names the special tokens; "" where there is none
  std::string_view added;   // added_tokens.json, an object of ids by token; "" where there is none
};

// The same tokenizer as a tokenizer.json. Special are those of bos_token, eos_token, pad_token and unk_token that the
// vocabulary has, without a configuration that names any <|endoftext|> and </s>; added are also those of the added
// tokens and of the configuration's added_tokens_decoder. DataError, beginning with name, when the vocabulary
// is no object of whole numbers or a file is no UTF-8.
std::string TokenizerJsonOf(const VocabMerges& files, const std::string& name);

}  // namespace sink::data
