// Pages for programs: JSON documents, and the first table as CSV.
#include <cmath>

#include "coordinator/cli/print/printer.h"

namespace sink::cli {
namespace {

class JsonPrinter final : public Printer {
 public:
  explicit JsonPrinter(std::ostream& out) : out_(out) {}
  void Print(const Page& page) override {
    out_ << page.document.dump(2, ' ', false, Json::error_handler_t::replace) << "\n" << std::flush;
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
  explicit CsvPrinter(std::ostream& out) : out_(out) {}
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
        out_ << comma << CsvField(row, column.field);
        comma = ",";
      }
      out_ << "\n";
    }
    out_ << std::flush;
  }

  std::ostream& out_;
};

}  // namespace

std::unique_ptr<Printer> MakeJsonPrinter(std::ostream& out) { return std::make_unique<JsonPrinter>(out); }
std::unique_ptr<Printer> MakeCsvPrinter(std::ostream& out) { return std::make_unique<CsvPrinter>(out); }

Json Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

std::string Compact(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace sink::cli
