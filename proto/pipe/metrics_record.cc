// See metrics_record.h. The library's parser calls the handler as it goes; the first call that answers false ends it.
#include "proto/pipe/metrics_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace sink::pipe {
namespace {

using Json = nlohmann::json;

class Handler final : public Json::json_sax_t {
 public:
  bool start_object(size_t) override {
    if (depth_ == 0) return ++depth_ == 1;
    if (depth_ != 1 || !Enter(kValues)) return false;
    depth_ = 2;
    return true;
  }
  bool end_object() override { return --depth_ >= 0; }

  bool key(std::string& name) override {
    if (depth_ == 1) {
      next_ = FieldOf(name);
      return next_ != kNone;
    }
    if (name.empty() || name.size() > kMaxNameBytes || metrics_.values.size() == kMaxValues) return false;
    metrics_.values.emplace_back(std::move(name), 0.0);
    return true;
  }

  bool string(std::string& text) override { return depth_ == 1 && text == "metrics" && Enter(kType); }
  bool number_unsigned(uint64_t number) override {
    if (depth_ == 2) return Put(static_cast<double>(number));
    if (depth_ != 1 || number > static_cast<uint64_t>(kMaxStep) || !Enter(kStep)) return false;
    metrics_.step = static_cast<int64_t>(number);
    return true;
  }
  bool number_integer(int64_t number) override { return Put(static_cast<double>(number)); }
  bool number_float(double number, const std::string&) override { return Put(number); }

  bool null() override { return false; }
  bool boolean(bool) override { return false; }
  bool binary(Json::binary_t&) override { return false; }
  bool start_array(size_t) override { return false; }
  bool end_array() override { return false; }
  bool parse_error(size_t, const std::string&, const Json::exception&) override { return false; }

  // After the whole line was read.
  std::optional<Metrics> Take() {
    if (seen_ != (kType | kStep | kValues)) return std::nullopt;
    const auto by_name = [](const auto& a, const auto& b) { return a.first < b.first; };
    auto& values = metrics_.values;
    if (!std::is_sorted(values.begin(), values.end(), by_name)) std::sort(values.begin(), values.end(), by_name);
    const auto same_name = [](const auto& a, const auto& b) { return a.first == b.first; };
    if (std::adjacent_find(values.begin(), values.end(), same_name) != values.end()) return std::nullopt;
    return std::move(metrics_);
  }

 private:
  enum Field : unsigned { kNone = 0, kType = 1, kStep = 2, kValues = 4 };

  static Field FieldOf(std::string_view name) {
    if (name == "type") return kType;
    if (name == "step") return kStep;
    return name == "values" ? kValues : kNone;
  }
  // The value of `field` begins: it is the one that was named last, and comes for the first time.
  bool Enter(Field field) {
    if (next_ != field || (seen_ & field) != 0) return false;
    seen_ |= field;
    return true;
  }
  bool Put(double value) {
    if (depth_ != 2) return false;
    metrics_.values.back().second = value;
    return true;
  }

  int depth_ = 0;
  Field next_ = kNone;
  unsigned seen_ = 0;  // fields
  Metrics metrics_;
};

}  // namespace

std::optional<Metrics> ReadPlainMetrics(std::string_view line) {
  Handler handler;
  if (!Json::sax_parse(line, &handler)) return std::nullopt;
  return handler.Take();
}

}  // namespace sink::pipe
