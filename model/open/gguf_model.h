// A GGUF file of LLaMA's architecture as an open model: its configuration from the metadata, its table of names. Rows
// of queries and keys lie there in the order in which neighbours are a pair for RoPE; layer.h brings them back. Pure
// but for the file; any thread.
#pragma once

#include "model/open/family.h"
#include "model/storage/gguf.h"

namespace sink {

// ModelError, beginning with `name`, on another architecture and on what this code cannot give.
OpenConfig ReadGgufConfig(const GgufContent& content, const std::string& name);

}  // namespace sink
