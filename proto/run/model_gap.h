// Whether the copy of an open model on this machine is whole, as far as the names and sizes of its files tell: what
// sink-eval refuses as missing or cut short is found here without Torch, from the files' headers. A worker does not
// offer a model that a copy has left half done, nor one without a tokenizer to jobs that read texts. Stateless; any
// thread.
#pragma once

#include <string>

#include "proto/files/file_error.h"

namespace sink::run {

// The first file of the folder that is not there or not whole: config.json; model.safetensors, or else each file that
// model.safetensors.index.json names. A safetensors file is as long as its header says; JSON is whole where it can be
// read.
files::FileError FindModelGap(const std::string& folder);

// The same of what texts are read with: the first of tokenizer.json, tokenizer.model and vocab.json, the last with
// merges.txt. Not found are a tokenizer.model or merges.txt that is cut short, and what a model may do without, as a
// tokenizer_config.json.
files::FileError FindTokenizerGap(const std::string& folder);

}  // namespace sink::run
