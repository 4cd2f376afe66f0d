// What a config.json of Hugging Face's says beside the model: job_config.h prints and reads the model itself. Pure
// functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/config/job_config.h"

namespace sink {

// PrintHuggingFaceConfig with the id that ends a text, for generate(), where that is known. Of a model that is no LLaMA
// "auto_map" names the Python file that its directory has then (model/storage/modeling_sink.py).
std::string PrintHuggingFaceConfig(const ModelConfig& config, std::optional<int64_t> eos_token_id);

}  // namespace sink
