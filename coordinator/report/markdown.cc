// A document as Markdown with tables (GitHub's flavour); see document.h.
#include "coordinator/report/document.h"

namespace sink::report {
namespace {

// Text in which no character means markup.
std::string Escape(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (std::string("\\`*_[]<>|#").find(c) != std::string::npos) out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string RemarkOf(const Judgement& judgement) {
  return judgement.remark.empty() ? "" : ": " + Escape(judgement.remark);
}

class Markdown {
 public:
  void operator()(const Heading& heading) {
    out_ += std::string(static_cast<size_t>(heading.level), '#') + " " + Escape(heading.text) + "\n\n";
  }
  void operator()(const Paragraph& paragraph) { out_ += Escape(paragraph.text) + "\n\n"; }
  void operator()(const Facts& facts) {
    for (const auto& [name, value] : facts.items) out_ += "- **" + Escape(name) + "**: " + Escape(value) + "\n";
    out_ += "\n";
  }
  void operator()(const Links& links) {
    for (const Links::Item& item : links.items) {
      const std::string text = Escape(item.text);
      out_ += "- " + (item.markdown.empty() ? "**" + text + "**" : "[" + text + "](" + item.markdown + ")") + ": " +
              Escape(item.note) + "\n";
    }
    out_ += "\n";
  }
  void operator()(const DataTable& table) {
    Row(table.columns);
    std::vector<std::string> rule;
    for (size_t i = 0; i < table.columns.size(); ++i) {
      const bool number = !table.rows.empty() && table.rows[0][i].number;
      rule.push_back(number ? "---:" : "---");
    }
    out_ += "|";
    for (const std::string& cell : rule) out_ += " " + cell + " |";
    out_ += "\n";
    for (const std::vector<TableCell>& row : table.rows) {
      std::vector<std::string> texts;
      for (const TableCell& cell : row) texts.push_back(cell.text);
      Row(texts);
    }
    out_ += "\n";
  }
  void operator()(const Overview& overview) {
    out_ += "| Takeaway of the paper | Experiment | Verdict | Ours, 95 % interval | The paper's |\n";
    out_ += "| --- | --- | --- | ---: | ---: |\n";
    for (const Verdicts::Item& item : overview.items)
      out_ += "| " + Escape(item.statement) + " | " + Escape(item.experiment) + " | **" +
              VerdictText(item.judgement.verdict) + "**" + RemarkOf(item.judgement) + " | " +
              Escape(OursText(item.judgement)) + " | " + Escape(PaperText(item.judgement)) + " |\n";
    out_ += "\n";
  }
  void operator()(const Verdicts& verdicts) {
    for (const Verdicts::Item& item : verdicts.items) {
      out_ += "- **" + VerdictText(item.judgement.verdict) + "**: " + Escape(item.statement) + " (" +
              Escape(item.source) + ")  \n  " + Escape(item.judgement.comparison) + "\n";
      if (!item.judgement.paper.empty())
        out_ += "  \n  The paper's numbers (at its own values, where ours are named): " + Escape(item.judgement.paper) +
                "\n";
    }
    out_ += "\n";
  }
  void operator()(const FigureBlock& block) {
    out_ += "![" + Escape(block.figure.caption) + "](figures/" + block.figure.name + ".svg)\n\n";
  }

  std::string text() const { return out_; }

 private:
  void Row(const std::vector<std::string>& texts) {
    out_ += "|";
    for (const std::string& text : texts) out_ += " " + Escape(text) + " |";
    out_ += "\n";
  }

  std::string out_;
};

}  // namespace

std::string ToMarkdown(const Document& document) {
  Markdown markdown;
  markdown(Heading{1, document.title});
  for (const DocumentBlock& block : document.blocks) std::visit(markdown, block);
  return markdown.text();
}

}  // namespace sink::report
