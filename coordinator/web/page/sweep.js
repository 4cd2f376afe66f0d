// A sweep: its progress, the curves of its settings beside the paper's values, and its jobs.
import {axisSelect, experimentCharts, metricSelect, paperValue, setMetrics, watchCurves} from "./curves.js";
import {fill, finalStates, fixed, h, percent, progressBar, say, shortLabel, stateBadge} from "./dom.js";
import {timeLeft} from "./dom.js";
import {VirtualList} from "./list.js";
import {getJson} from "./live.js";
import {stateCounts} from "./overview.js";

const kinds = ["all", "running", "queued", "failed", "succeeded", "cancelled"];

// Columns of the jobs; a value that is measured is a key of the row.
function jobColumns(chosen, choose) {
  const link = (row, text, title) => h("a", {href: `#/job/${row.id}`, title}, text);
  const box = (row) => h("input", {
    type: "checkbox",
    "aria-label": `Compare ${row.id.slice(0, 8)}`,
    checked: chosen.has(row.id),
    onchange: (event) => choose(row.id, event.target.checked)
  });
  const setting = (row) => link(row, shortLabel(row.label) || row.experiment, `${row.experiment}: ${row.label}`);
  const text = (title, width, key, cell, less) => ({title, width, less, value: (row) => row[key], cell});
  const number = (title, width, key, show, less) =>
      ({title, width, less, number: true, value: (row) => row[key], cell: (row) => show(row[key])});
  return [
    {title: "✓", width: "24px", less: true, cell: box},
    text("Job", "78px", "index", (row) => link(row, row.id.slice(0, 8)), true),
    text("Setting", "minmax(90px, 2.2fr)", "label", setting),
    text("Experiment", "minmax(90px, 1fr)", "experiment", (row) => row.experiment, true),
    text("State", "90px", "state", (row) => stateBadge(row.state, row.stopped_early)),
    number("Done", "52px", "done", (value) => percent(value, 0)),
    text("Step", "120px", "step", (row) => `${row.step} / ${row.max_steps}`, true),
    number("Loss", "70px", "train_loss", (value) => fixed(value, 3), true),
    number("Valid", "70px", "validation_loss", (value) => fixed(value, 3), true),
    number("Sink rate", "80px", "sink_rate", (value) => percent(value), true),
    number("α₁ max", "64px", "alpha_max", (value) => fixed(value, 3)),
    text("Worker", "minmax(80px, 1fr)", "worker", (row) => row.worker, true),
  ];
}

const verdictClass = {
  holds: "SUCCEEDED",
  "does not hold": "FAILED"
};

// The paper's takeaways as the sweep's report judges them; nothing where none is about its experiments.
function verdictTable(name, {takeaways, too_many}) {
  const title = h("h2", {}, "The paper's takeaways");
  if (too_many > 0)
    return [title, h("p", {class: "soft small"}, `Of ${too_many} jobs they are judged by: sinkctl report ${name}`)];
  if (takeaways.length === 0) return [];
  const titles = ["Takeaway", "Verdict", "Here", "Experiment"];
  const rows = takeaways.map(
      (one) =>
          h("tr", {}, h("td", {title: one.source}, one.statement),
            h("td", {}, h("span", {class: `state ${verdictClass[one.verdict] || "QUEUED"}`}, one.verdict)),
            h("td", {class: "small", title: one.paper ? `The paper: ${one.paper}` : null}, one.comparison),
            h("td", {class: "small soft"}, one.experiment)));
  const table = h(
      "table", {}, h("thead", {}, h("tr", {}, titles.map((text) => h("th", {scope: "col"}, text)))),
      h("tbody", {}, rows));
  return [title, h("div", {class: "wide", tabindex: 0, role: "region", "aria-label": "The paper's takeaways"}, table)];
}

export function sweepPage(view, name, options) {
  const jobs = new Map();
  let columns = [], study = null, curves = {}, metric = options.get("metric") || "alpha_max/1",
      axis = options.get("axis") || "steps", apart = options.get("apart") === "1";
  const chosen = new Set();
  const facts = h("div"), actions = h("div", {class: "controls"}), charts = h("div", {class: "charts"}), note = h("p", {class: "soft small"}),
        verdicts = h("div");
  const keep = () => view.replaceOptions({
    metric,
    axis,
    apart: apart ? "1" : null,
    find: search.value || null,
    state: state.value === "all" ? null : state.value
  });
  const select = metricSelect(metric, (value) => {
    metric = value;
    keep();
    follow();
  });
  const axisChoice = axisSelect(axis, (value) => {
    axis = value;
    keep();
    drawCharts();
  });
  const apartChoice = h("input", {
    type: "checkbox",
    checked: apart,
    onchange: () => {
      apart = apartChoice.checked;
      keep();
      drawCharts();
    }
  });
  const search = h("input", {
    type: "search",
    value: options.get("find") || "",
    placeholder: "Filter jobs",
    "aria-label": "Filter jobs",
    "data-focus": true,
    oninput: () => {
      keep();
      drawRows();
    }
  });
  const state =
      h("select", {
        "aria-label": "State of jobs",
        onchange: () => {
          keep();
          drawRows();
        }
      },
        kinds.map((kind) => h("option", {value: kind, selected: kind === (options.get("state") || "all")}, kind)));
  const compare = h("a", {href: "#/", hidden: true}, "");
  const list = new VirtualList(jobColumns(chosen, choose), `Jobs of ${name}`);
  fill(
      view.main, h("h1", {}, name), facts, actions, h("h2", {}, "Curves by setting"),
      h("div", {class: "controls"}, h("label", {}, "Metric ", select), h("label", {}, "over ", axisChoice),
        h("label", {}, apartChoice, " a panel for each")),
      note, charts, verdicts, h("h2", {}, "Jobs"), h("div", {class: "controls"}, search, state, compare), list.element);

  function choose(id, yes) {
    if (yes)
      chosen.add(id);
    else
      chosen.delete(id);
    compare.hidden = chosen.size < 2;
    compare.textContent = `Compare ${chosen.size} jobs`;
    compare.href = `#/compare/${[...chosen].slice(0, 32).join(",")}`;
  }
  function rowOf(values) {
    const row = {};
    columns.forEach((column, i) => {
      row[column] = values[i];
    });
    row.done = row.max_steps > 0 ? row.step / row.max_steps : null;
    return row;
  }
  function drawRows() {
    const words = search.value.toLowerCase(), kind = state.value;
    const fits = (row) => (kind === "all" || row.state.toLowerCase() === kind ||
                           (kind === "running" && !finalStates.has(row.state) && row.state !== "QUEUED")) &&
        (words === "" || `${row.id} ${row.experiment} ${row.label} ${row.worker}`.toLowerCase().includes(words));
    list.setRows([...jobs.values()].filter(fits));
  }
  function drawFacts(sweep, totals) {
    const ended = totals.unfinished === 0;
    fill(
        facts, h("div", {}, stateCounts(sweep.jobs_by_state)), progressBar(totals.fraction, "Progress of the sweep"),
        h("p", {class: "small"}, `${percent(totals.fraction || 0)} of all steps`, ended ? "" : `; ${timeLeft(totals)}`,
          sweep.max_parallel ? `; at most ${sweep.max_parallel} at once` : ""));
    drawActions(ended);
  }
  // Anew only when there are others: who types or tabs is not disturbed every second.
  let actionsOf = null;
  function drawActions(ended) {
    if (!view.mayChange || actionsOf === ended) return;
    actionsOf = ended;
    const priority = h("input", {type: "number", min: -1000, max: 1000, step: 1, value: 0, "aria-label": "Priority"});
    fill(
        actions,
        ended ? null :
                view.action(
                    "Cancel the sweep", "/api/cancel", {sweep: name},
                    `Cancel every job of ${name} that has not ended?`, true),
        view.action("Retry what failed", "/api/retry", {sweep: name}),
        ended ? null : h("label", {}, "Priority ", priority),
        ended ? null :
                view.action("Set priority", "/api/priority", () => ({sweep: name, priority: Number(priority.value)})));
  }
  function settings() {
    if (study) {
      return (study.experiments || []).map((experiment) => {
        const paper = JSON.parse(experiment.paper_json || "{}");
        return {
          name: experiment.name,
          source: paper.source,
          settings: (experiment.points || []).map((point, i) => ({
                                                    label: shortLabel(point.label || ""),
                                                    jobs: point.job_ids || [],
                                                    paper: paperValue(paper, metric, i)
                                                  }))
        };
      });
    }
    return [];
  }
  let waiting = 0;
  function drawCharts() {
    if (waiting) return;
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      const focused = charts.contains(document.activeElement);
      charts.classList.toggle("small-panels", apart);
      if (!focused || charts.children.length === 0) {
        fill(
            charts,
            settings().flatMap(
                (experiment) =>
                    experimentCharts(experiment.name, experiment.settings, metric, axis, curves, jobs, apart)));
      }
      const sources = settings()
                          .filter(
                              (experiment) => experiment.source &&
                                  experiment.settings.some((setting) => Number.isFinite(setting.paper)))
                          .map((experiment) => `${experiment.name}: ${experiment.source}`);
      note.textContent = sources.length > 0 ?
          `Dashed lines are the paper's values at the end of its training (${sources.join("; ")}).` :
          "";
    });
  }
  function follow() {
    curves = {};
    watchCurves(view, `curves/${name}`, metric, (all) => {
      curves = all;
      drawCharts();
    });
  }
  view.topics.set(`sweep/${name}`, (kind, data) => {
    if (kind === "gone") {
      fill(view.main, h("p", {class: "empty"}, data));
      return;
    }
    view.warn(data.warning);
    if (data.columns) columns = data.columns;
    if (kind === "whole") {
      jobs.clear();
      getJson(`/api/study?sweep=${encodeURIComponent(name)}`).then((told) => {
        study = told;
        drawCharts();
      }, (error) => say(error.message));
    }
    if (data.metrics) setMetrics(select, data.metrics, metric);
    for (const values of data.jobs) {
      const row = rowOf(values);
      jobs.set(row.id, row);
    }
    drawRows();
    drawFacts(data.sweep, data.totals);
  });
  view.topics.set(`verdicts/${name}`, (kind, data) => {
    if (kind !== "gone") fill(verdicts, verdictTable(name, data));
  });
  follow();
}
