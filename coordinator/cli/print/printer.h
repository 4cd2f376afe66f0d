// The one seam between what a command found out and how it is shown. A command makes a Page: a JSON document, which is
// the stable contract for scripts (field names: documents.h), and beside it the same facts laid out for a reader. A
// printer takes its pick. Used by one thread.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/cli/print/table.h"

namespace sink::cli {

using Json = nlohmann::ordered_json;

// A column of a table whose rows are the objects of one of the document's arrays.
struct Column {
  TableColumn layout;
  std::string field;  // of the row; the heading in CSV
  std::function<Cell(const Json& row)> show;
};

struct TableBlock {
  std::string rows;  // name of the array in the document
  std::vector<Column> columns;
  std::string when_empty;      // shown instead of a table without rows
  size_t max_rows = SIZE_MAX;  // more are told in one line: "... 12 more"
};

// Pieces that stay whole; a line breaks between them when it is too long.
struct TextBlock {
  std::vector<Cell> pieces;
};

// "name   value" lines; long values go on below themselves.
struct FieldsBlock {
  std::vector<std::pair<std::string, Cell>> fields;
};

using Block = std::variant<TableBlock, TextBlock, FieldsBlock>;

struct Page {
  Json document;
  std::vector<Block> blocks;
};

class Printer {
 public:
  virtual ~Printer() = default;
  // The whole answer of a command.
  virtual void Print(const Page& page) = 0;
  // One element of a stream: a JSON object on one line, or `line` for a reader.
  virtual void PrintItem(const Json& item, const std::vector<Cell>& line) = 0;
};

// For readers: what the page says, no wider than `width`.
std::string RenderPage(const Page& page, int width, bool color);

std::unique_ptr<Printer> MakeTablePrinter(std::ostream& out, int width, bool color);
// Documents are indented by two; stream items are one line each (NDJSON).
std::unique_ptr<Printer> MakeJsonPrinter(std::ostream& out);
// Comma-separated (quoted as in RFC 4180), of the page's first table; every column, unrounded. Stream items are not for
// it. `for_terminal`: without what would steer one.
std::unique_ptr<Printer> MakeCsvPrinter(std::ostream& out, bool for_terminal = false);

// A number for the document: non-finite ones are the strings "NaN", "Infinity" and "-Infinity".
Json Number(double value);
// One line of JSON. Never throws; malformed UTF-8 becomes U+FFFD.
std::string Compact(const Json& json);

}  // namespace sink::cli
