// The tokenizer that a GGUF file carries in its metadata. Pure; any thread.
#pragma once

#include <memory>
#include <string>

#include "model/data/tokenizer/tokenizer.h"
#include "model/storage/gguf.h"

namespace sink {

// Of the model "gpt2" (byte-level BPE) with one of the ways of cutting words that this code knows, or "llama"
// (SentencePiece), its rule for a first token included. ModelError or data::DataError, beginning with name, on others
// and on damaged metadata.
std::unique_ptr<data::Tokenizer> GgufTokenizer(const GgufContent& content, const std::string& name);

}  // namespace sink
