#include "model/open/json_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "model/base/model_error.h"

namespace sink {

using nlohmann::json;

constexpr int kMaxDepth = 32;  // copies and prints of a value go down its levels on the stack

json ParseJsonObject(std::string_view text, const std::string& name) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > kMaxDepth) throw ModelError(name + ": nested deeper than " + std::to_string(kMaxDepth) + " levels");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.empty() && !keys.back().insert(value.get<std::string>()).second)
      throw ModelError(name + ": \"" + value.get<std::string>().substr(0, 200) + "\" occurs twice");
    return true;
  };
  json root = json::parse(text, check, /*allow_exceptions=*/false);
  if (!root.is_object()) throw ModelError(name + ": not a JSON object");
  return root;
}

json ReadJsonObject(const std::filesystem::path& path, int64_t max_mebibytes) {
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (std::filesystem::exists(path, error) && type != std::filesystem::file_type::regular)
    throw ModelError(path.string() + ": not a plain file");  // a named pipe would block
  std::ifstream in(path, std::ios::binary);
  if (!in) throw ModelError(path.string() + ": cannot open: " + std::strerror(errno));
  const std::streamsize most = max_mebibytes << 20;
  std::string text(static_cast<size_t>(most) + 1, '\0');
  in.read(text.data(), most + 1);
  if (in.gcount() > most)
    throw ModelError(path.string() + ": over " + std::to_string(max_mebibytes) + " MiB, not part of a model");
  text.resize(static_cast<size_t>(in.gcount()));
  return ParseJsonObject(text, path.string());
}

}  // namespace sink
