// The JSON files of a model folder, which is treated as hostile: bounded in bytes and depth before anything is built
// from them, duplicate names refused. Needs no Torch. Pure functions but for the disk; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sink {

// An object, of at most 32 levels. `name` begins every error (ModelError).
nlohmann::json ParseJsonObject(std::string_view text, const std::string& name);

// The same of a plain file of at most max_mebibytes. ModelError naming it when it cannot be opened or is longer.
nlohmann::json ReadJsonObject(const std::filesystem::path& path, int64_t max_mebibytes);

}  // namespace sink
