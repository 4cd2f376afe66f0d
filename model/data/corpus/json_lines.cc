// See json_lines.h.
#include "model/data/corpus/json_lines.h"

#include <nlohmann/json.hpp>

namespace sink::data {
namespace {

using Json = nlohmann::json;

// Takes the parser's events; every one of them is a value of the text's field or passes by. Returning false stops it.
class TextHandler : public nlohmann::json_sax<Json> {
 public:
  explicit TextHandler(std::string_view key) : key_(key) {}

  TextResult result;

  bool null() override { return Other(); }
  bool boolean(bool) override { return Other(); }
  bool number_integer(number_integer_t) override { return Other(); }
  bool number_unsigned(number_unsigned_t) override { return Other(); }
  bool number_float(number_float_t, const string_t&) override { return Other(); }
  bool binary(binary_t&) override { return Other(); }
  bool string(string_t& value) override {
    if (depth_ == 0) return Other();
    if (!is_text_) return true;
    if (result.text) return Fail("the field " + Quoted() + " comes twice");
    result.text = std::move(value);
    return true;
  }
  bool start_object(std::size_t) override { return Open(true); }
  bool start_array(std::size_t) override { return Open(false); }
  bool key(string_t& name) override {
    is_text_ = depth_ == 1 && name == key_;
    return true;
  }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return Fail("not JSON at byte " + std::to_string(position));
  }

  std::string Quoted() const { return "\"" + std::string(key_) + "\""; }

 private:
  bool Fail(std::string error) {
    if (result.error.empty()) result.error = std::move(error);
    return false;
  }
  bool Other() {
    if (depth_ == 0) return Fail("not a JSON object");
    if (is_text_) return Fail("the field " + Quoted() + " is not a string");
    return true;
  }
  bool Open(bool object) {
    if (depth_ == 0 && !object) return Fail("not a JSON object");
    if (is_text_) return Fail("the field " + Quoted() + " is not a string");
    if (++depth_ > kMaxJsonDepth) return Fail("nested more than " + std::to_string(kMaxJsonDepth) + " deep");
    return true;
  }
  bool Close() {
    --depth_;
    is_text_ = false;
    return true;
  }

  std::string_view key_;
  int depth_ = 0;
  bool is_text_ = false;  // the value that comes next belongs to the top level's key_
};

}  // namespace

TextResult ParseTextLine(std::string_view line, std::string_view key) {
  TextHandler handler(key);
  try {
    if (!Json::sax_parse(line, &handler) && handler.result.error.empty()) handler.result.error = "not JSON";
  } catch (const std::exception& error) {
    handler.result.error = error.what();
  }
  if (handler.result.error.empty() && !handler.result.text) handler.result.error = "no field " + handler.Quoted();
  if (!handler.result.error.empty()) handler.result.text.reset();
  return std::move(handler.result);
}

bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

std::string PrintTextLine(std::string_view text) {
  return Json{{"text", text}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sink::data
