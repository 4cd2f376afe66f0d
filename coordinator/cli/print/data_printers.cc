// Pages for programs: JSON documents, and the first table as CSV.
#include <cmath>
#include <string>

#include "coordinator/cli/print/printer.h"
#include "coordinator/cli/print/terminal_text.h"

namespace sink::cli {
namespace {

// JSON with the characters escaped that steer a terminal: C1 controls and the marks of writing direction. They stand in
// strings only.
std::string Escaped(const std::string& json) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(json.size());
  for (size_t i = 0; i < json.size(); ++i) {
    const auto byte = [&](size_t k) { return i + k < json.size() ? static_cast<unsigned char>(json[i + k]) : 0u; };
    unsigned code = 0;
    size_t length = 0;
    if (byte(0) == 0xC2 && byte(1) >= 0x80 && byte(1) < 0xA0) {  // U+0080 to U+009F
      code = byte(1), length = 2;
    } else if (byte(0) == 0xD8 && byte(1) == 0x9C) {
      code = 0x061C, length = 2;
    } else if (byte(0) == 0xE2 && (byte(1) == 0x80 || byte(1) == 0x81)) {
      const unsigned point = 0x2000 + ((byte(1) & 0x3F) << 6) + (byte(2) & 0x3F);
      const bool steers = point == 0x200E || point == 0x200F || (point >= 0x202A && point <= 0x202E) ||
                          (point >= 0x2066 && point <= 0x2069);
      if (steers) code = point, length = 3;
    }
    if (length == 0) {
      out += json[i];
      continue;
    }
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[code >> shift & 15];
    i += length - 1;
  }
  return out;
}

class JsonPrinter final : public Printer {
 public:
  explicit JsonPrinter(std::ostream& out) : out_(out) {}
  void Print(const Page& page) override {
    out_ << Escaped(page.document.dump(2, ' ', false, Json::error_handler_t::replace)) << "\n" << std::flush;
  }
  void PrintItem(const Json& item, const std::vector<Cell>&) override { out_ << Compact(item) << "\n" << std::flush; }

 private:
  std::ostream& out_;
};

std::string CsvField(const Json& row, const std::string& field) {
  const auto value = row.find(field);
  if (value == row.end() || value->is_null()) return "";
  std::string text = value->is_string() ? value->get<std::string>() : Compact(*value);
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

class CsvPrinter final : public Printer {
 public:
  CsvPrinter(std::ostream& out, bool for_terminal) : out_(out), for_terminal_(for_terminal) {}
  void Print(const Page& page) override {
    for (const Block& block : page.blocks) {
      if (const auto* table = std::get_if<TableBlock>(&block)) return PrintTable(page.document, *table);
    }
  }
  void PrintItem(const Json&, const std::vector<Cell>&) override {}

 private:
  void PrintTable(const Json& document, const TableBlock& table) {
    const char* comma = "";
    for (const Column& column : table.columns) {
      out_ << comma << column.field;
      comma = ",";
    }
    out_ << "\n";
    for (const Json& row : document[table.rows]) {
      comma = "";
      for (const Column& column : table.columns) {
        const std::string text = CsvField(row, column.field);
        out_ << comma << (for_terminal_ ? Clean(text) : text);
        comma = ",";
      }
      out_ << "\n";
    }
    out_ << std::flush;
  }

  std::ostream& out_;
  const bool for_terminal_;
};

}  // namespace

std::unique_ptr<Printer> MakeJsonPrinter(std::ostream& out) { return std::make_unique<JsonPrinter>(out); }
std::unique_ptr<Printer> MakeCsvPrinter(std::ostream& out, bool for_terminal) {
  return std::make_unique<CsvPrinter>(out, for_terminal);
}

Json Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

std::string Compact(const Json& json) { return Escaped(json.dump(-1, ' ', false, Json::error_handler_t::replace)); }

}  // namespace sink::cli
