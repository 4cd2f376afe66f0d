// What the pages with charts share: which metrics there are, axes, and curves of settings over them.
import {color, lineChart, mergeCurves} from "./chart.js";
import {h, say} from "./dom.js";

const names = {
  train_loss: "Training loss (nats)",
  "validation_loss/all": "Validation loss (nats)",
  "alpha_max/1": "α₁ of the strongest head",
  "alpha_mean/1": "α₁, mean over heads",
  gradient_norm: "Gradient norm before clipping",
  learning_rate: "Learning rate",
};

export function metricTitle(metric) {
  if (names[metric]) return names[metric];
  const parts = metric.split("/");
  if (parts[0] === "sink_rate")
    return `Sink rate, ε = ${parts[1]}, ${parts[2] === "bias" ? "bias" : `position ${parts[2]}`}`;
  if (parts[0] === "alpha_max" || parts[0] === "alpha_mean")
    return `${parts[0].replace("_", " ")} at ${parts[1] === "bias" ? "the bias" : `position ${parts[1]}`}`;
  if (parts[0] === "validation_loss") return `Validation loss on ${parts[1]} (nats)`;
  return `${parts[0].replaceAll("_", " ")}${
      parts[1] !== undefined ? `, ${parts[1] === "all" ? "whole model" : `layer ${parts[1]}`}` : ""}`;
}

export function metricSelect(value, onchange) {
  const select = h("select", {onchange: () => onchange(select.value)});
  setMetrics(select, [], value);
  return select;
}

const first = [
  "alpha_max/1", "sink_rate/0.3/1", "validation_loss/all", "train_loss", "alpha_mean/1", "gradient_norm",
  "learning_rate"
];
export function setMetrics(select, metrics, value) {
  const known = new Set(metrics);
  const all = [
    ...first.filter((metric) => metrics.length === 0 || known.has(metric) || metric === value),
    ...metrics.filter((metric) => !first.includes(metric))
  ];
  if (select.dataset.all === all.join(" ")) return;
  select.dataset.all = all.join(" ");
  select.replaceChildren(
      ...all.map((metric) => h("option", {value: metric, selected: metric === value}, metricTitle(metric))));
  select.value = value;
}

// One metric of some jobs, in the place of the one that the view watched before. whose: "curves/SWEEP" or "compare/IDS";
// draw is called with all that has come: {job: {metric: [steps, values]}}.
export function watchCurves(view, whose, metric, draw) {
  let curves = {};
  for (const topic of [...view.topics.keys()])
    if (topic.startsWith(`${whose}/`)) view.topics.delete(topic);
  view.topics.set(`${whose}/${metric}`, (kind, data) => {
    if (kind === "gone") return say(data);
    if (kind === "whole")
      curves = data.curves;
    else
      mergeCurves(curves, data.curves);
    draw(curves);
  });
  view.rewatch();
}

export const axes = {
  steps: "steps",
  tokens: "tokens",
  time: "hours of training, at the present rate"
};
export function axisSelect(value, onchange) {
  const select =
      h("select", {onchange: () => onchange(select.value)},
        Object.keys(axes).map((axis) => h("option", {value: axis, selected: axis === value}, axis)));
  return select;
}

// Steps on the axis that was chosen; `job`: step, tokens, tokens_per_second as the coordinator knows them now.
export function onAxis(steps, axis, job) {
  if (axis === "steps" || !job || !Number(job.step)) return steps;
  const tokens = Number(job.tokens) / Number(job.step);
  if (axis === "tokens") return steps.map((step) => step * tokens);
  const rate = Number(job.tokens_per_second);
  return rate > 0 ? steps.map((step) => step * tokens / rate / 3600) : steps.map(() => NaN);
}

// The paper's value of a point under a metric, in the metric's unit; NaN: it gives none.
export function paperValue(paper, metric, point) {
  const family = metric.split("/")[0];
  const list = family === "sink_rate" ? paper.sink_rate_percent :
      family === "validation_loss"    ? paper.validation_loss :
                                        null;
  const value = Array.isArray(list) && typeof list[point] === "number" ? list[point] : NaN;
  return family === "sink_rate" ? value / 100 : value;
}

// Charts of an experiment: all settings in one, or one for each. settings: [{label, jobs: [id], paper: value or NaN}]
export function experimentCharts(title, settings, metric, axis, curves, jobs, apart) {
  const lines = settings.flatMap((setting, i) => setting.jobs.map((id) => {
    const [steps, values] = (curves[id] || {})[metric] || [[], []];
    return {
      name: setting.label,
      color: color(i),
      x: onAxis(steps, axis, jobs.get(id)),
      y: values,
      href: `#/job/${id}`,
      setting: i
    };
  }));
  const paper = settings.flatMap(
      (setting, i) => Number.isFinite(setting.paper) ?
          [{name: `${setting.label}, paper`, color: color(i), y: setting.paper, setting: i}] :
          []);
  const fromZero = metric.startsWith("sink_rate") || metric.startsWith("alpha");
  const common = {xLabel: axes[axis], yLabel: metricTitle(metric), fromZero};
  if (!apart) return [lineChart({...common, title, series: lines, lines: paper})];
  return settings.map(
      (setting, i) => lineChart({
        ...common,
        title: setting.label,
        legend: false,
        lines: paper.filter((line) => line.setting === i),
        series: [
          ...lines.filter((line) => line.setting !== i).map((line) => ({...line, color: "var(--line)", faint: true})),
          ...lines.filter((line) => line.setting === i)
        ]
      }));
}
