// A document as one HTML file; see document.h.
#include "coordinator/report/document.h"
#include "proto/charts/svg.h"

namespace sink::report {
namespace {

using charts::EscapeXml;

constexpr char kStyle[] =
    R"css(:root { color-scheme: light dark; --page: #ffffff; --text: #1f2328; --dim: #59636e; --rule: #d8dee4;
  --stripe: #f6f8fa; --good: #1a7f37; --bad: #cf222e; --open: #7d4e00; --link: #0969da; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --text: #e6edf3; --dim: #9198a1; --rule: #30363d;
  --stripe: #151b23; --good: #3fb950; --bad: #ff7b72; --open: #d29922; --link: #4493f8; } }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.8rem; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 0 0 1rem; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .75rem 0 1.25rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; } th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--rule); }
tbody tr:nth-child(even) { background: var(--stripe); }
td.number, th.number { text-align: right; } td.number { white-space: nowrap; }
td.warning { color: var(--bad); font-weight: 600; }
ul.verdicts { list-style: none; padding: 0; }
ul.verdicts li { margin: 0 0 .9rem; padding-left: 1rem; border-left: 4px solid var(--open); }
ul.verdicts li.holds { border-color: var(--good); } ul.verdicts li.fails { border-color: var(--bad); }
a { color: var(--link); }
.verdict { font-weight: 600; color: var(--open); }
.holds .verdict { color: var(--good); } .fails .verdict { color: var(--bad); }
.source, .comparison, figcaption { color: var(--dim); font-size: .9rem; }
td.holds { color: var(--good); font-weight: 600; } td.fails { color: var(--bad); font-weight: 600; }
td.open { color: var(--open); font-weight: 600; } td .source { font-weight: 400; } td svg { display: block; }
td svg.swatch { display: inline-block; margin-right: .45em; }
figure { margin: 1.25rem 0 1.75rem; } figure svg { max-width: 100%; height: auto; }
@media print { body { max-width: none; padding: 0; font-size: 11pt; --page: #ffffff; --text: #000000; }
  figure, tr, li { break-inside: avoid; } h2, h3 { break-after: avoid; } .scroll { overflow: visible; } }
)css";

std::string StyleOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHolds:
      return "holds";
    case Verdict::kDoesNotHold:
      return "fails";
    case Verdict::kNotEnoughData:
      break;
  }
  return "open";
}

// The effect as a dot in its interval, on an axis with 0 and the least effect that counts.
std::string DrawEffect(const Judgement& judgement) {
  if (!judgement.effect) return "";
  const Effect& effect = *judgement.effect;
  const int color = judgement.verdict == Verdict::kHolds ? 2 : judgement.verdict == Verdict::kDoesNotHold ? 1 : 6;
  charts::IntervalRow row{"ours", effect.value, std::nullopt, color, ""};
  if (effect.interval) row.interval = {effect.interval->low, effect.interval->high};
  return charts::DrawCell(row, {0, effect.least}, "effect " + ShowEffect(effect));
}

// Below the verdict, in small.
std::string SmallRemark(const Judgement& judgement) {
  return judgement.remark.empty() ? "" : "<br><span class=\"source\">" + EscapeXml(judgement.remark) + "</span>";
}

class Html {
 public:
  void operator()(const Heading& heading) {
    const std::string tag = "h" + std::to_string(heading.level);
    out_ += "<" + tag + ">" + EscapeXml(heading.text) + "</" + tag + ">\n";
  }
  void operator()(const Paragraph& paragraph) { out_ += "<p>" + EscapeXml(paragraph.text) + "</p>\n"; }
  void operator()(const Facts& facts) {
    out_ += "<dl>\n";
    for (const auto& [name, value] : facts.items)
      out_ += "<dt>" + EscapeXml(name) + "</dt><dd>" + EscapeXml(value) + "</dd>\n";
    out_ += "</dl>\n";
  }
  void operator()(const Links& links) {
    out_ += "<ul>\n";
    for (const Links::Item& item : links.items) {
      const std::string text = EscapeXml(item.text);
      out_ +=
          "<li>" +
          (item.html.empty() ? "<b>" + text + "</b>" : "<a href=\"" + EscapeXml(item.html) + "\">" + text + "</a>") +
          ": " + EscapeXml(item.note) + "</li>\n";
    }
    out_ += "</ul>\n";
  }
  void operator()(const DataTable& table) {
    out_ += "<div class=\"scroll\"><table>\n<thead><tr>";
    for (size_t i = 0; i < table.columns.size(); ++i) {
      const bool number = !table.rows.empty() && table.rows[0][i].number;
      out_ += std::string("<th scope=\"col\"") + (number ? " class=\"number\"" : "") + ">" +
              EscapeXml(table.columns[i]) + "</th>";
    }
    out_ += "</tr></thead>\n<tbody>\n";
    for (const std::vector<TableCell>& row : table.rows) {
      out_ += "<tr>";
      for (const TableCell& cell : row) {
        const std::string style = cell.warning ? "warning" : cell.number ? "number" : "";
        out_ += "<td" + (style.empty() ? "" : " class=\"" + style + "\"") + ">";
        if (cell.color >= 0) out_ += charts::Swatch(cell.color);
        out_ += EscapeXml(cell.text) + "</td>";
      }
      out_ += "</tr>\n";
    }
    out_ += "</tbody></table></div>\n";
  }
  void operator()(const Overview& overview) {
    out_ +=
        "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Takeaway of the paper</th>"
        "<th scope=\"col\">Verdict</th><th scope=\"col\">Ours</th><th scope=\"col\" class=\"number\">95 % interval"
        "</th><th scope=\"col\" class=\"number\">The paper's</th></tr></thead>\n<tbody>\n";
    for (const Verdicts::Item& item : overview.items)
      out_ += "<tr><td>" + EscapeXml(item.statement) + " <span class=\"source\">" + EscapeXml(item.experiment) +
              "</span></td><td class=\"" + StyleOf(item.judgement.verdict) + "\">" +
              VerdictText(item.judgement.verdict) + SmallRemark(item.judgement) + "</td><td>" +
              DrawEffect(item.judgement) + "</td><td class=\"number\">" + EscapeXml(OursText(item.judgement)) +
              "</td><td class=\"number\">" + EscapeXml(PaperText(item.judgement)) + "</td></tr>\n";
    out_ += "</tbody></table></div>\n";
  }
  void operator()(const Verdicts& verdicts) {
    out_ += "<ul class=\"verdicts\">\n";
    for (const Verdicts::Item& item : verdicts.items) {
      out_ += "<li class=\"" + StyleOf(item.judgement.verdict) + "\"><span class=\"verdict\">" +
              VerdictText(item.judgement.verdict) + "</span>: " + EscapeXml(item.statement) +
              " <span class=\"source\">(" + EscapeXml(item.source) + ")</span><br><span class=\"comparison\">" +
              EscapeXml(item.judgement.comparison);
      if (!item.judgement.paper.empty())
        out_ += "<br>The paper's numbers (at its own values, where ours are named): " + EscapeXml(item.judgement.paper);
      out_ += "</span></li>\n";
    }
    out_ += "</ul>\n";
  }
  void operator()(const FigureBlock& block) {
    out_ += "<figure>\n" + Draw(block.figure.chart, Placement::kInline) + "<figcaption>" +
            EscapeXml(block.figure.caption) + "</figcaption>\n</figure>\n";
  }

  std::string text() const { return out_; }

 private:
  std::string out_;
};

}  // namespace

std::string ToHtml(const Document& document) {
  Html html;
  html(Heading{1, document.title});
  for (const DocumentBlock& block : document.blocks) std::visit(html, block);
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         EscapeXml(document.title) + "</title>\n<style>\n" + kStyle + charts::ChartStyle() +
         "</style>\n</head>\n<body>\n" + html.text() + "</body>\n</html>\n";
}

}  // namespace sink::report
