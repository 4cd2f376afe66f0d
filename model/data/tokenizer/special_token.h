// How the configurations of Hugging Face's folders write a special token. Pure; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sink::data {

// A token is a string, or an object with a "content". nlohmann::json::exception on anything else.
inline std::string SpecialTokenText(const nlohmann::json& token) {
  return token.is_object() ? token.at("content").get<std::string>() : token.get<std::string>();
}

}  // namespace sink::data
