// A job: how it goes and why, what it measured, its heads over time, its log, attempts and checkpoints. And several
// jobs side by side.
import {color, HeatPlayer, lineChart, mergeCurves} from "./chart.js";
import {axes, axisSelect, metricSelect, metricTitle, onAxis, setMetrics, watchCurves} from "./curves.js";
import {bytes, count, duration, fill, finalStates, fixed, h, progressBar} from "./dom.js";
import {say, shortLabel, stateBadge, when} from "./dom.js";

function seriesOf(curves, metrics, axis, progress) {
  return metrics.map((metric, i) => {
    const [steps, values] = curves[metric] || [[], []];
    return {name: metricTitle(metric), color: color(i), x: onAxis(steps, axis, progress), y: values};
  });
}

// The charts of a job's page: title and which of its metrics.
const groups = [
  [
    "Losses (nats)",
    (name) => name === "train_loss" || name === "validation_loss/all" || (name.startsWith("validation_loss/"))
  ],
  [
    "α₁: strongest head and mean",
    (name) => name === "alpha_max/1" || name === "alpha_mean/1" || name === "alpha_max/bias"
  ],
  ["Sink rate", (name) => /^sink_rate\/[^/]+\/(1|bias)$/.test(name)],
  ["Gradient norm", (name) => name === "gradient_norm"],
  ["Learning rate", (name) => name === "learning_rate"],
  ["First token's norm over the others', by layer", (name) => name.startsWith("hidden_norm_ratio/")],
];

export function jobPage(view, id, options) {
  let job = null, curves = {}, axis = options.get("axis") || "steps";
  const maps = [];
  const title = h("h1", {}, `Job ${id.slice(0, 8)}`), facts = h("div"), charts = h("div", {class: "charts"}),
        attempts = h("tbody"), checkpoints = h("tbody");
  const log = h("div", {class: "log", tabindex: 0, role: "log", "aria-label": "Log", "aria-live": "off"}),
        follow = h("input", {type: "checkbox", checked: true});
  const config = h("pre", {tabindex: 0, "aria-label": "Configuration"});
  const heat = new HeatPlayer("α₁ by layer and head");
  view.leave = () => heat.stop();
  const axisChoice = axisSelect(axis, (value) => {
    axis = value;
    view.replaceOptions({axis});
    drawCharts();
  });
  const table = (titles, body) =>
      h("div", {class: "wide"},
        h("table", {}, h("thead", {}, h("tr", {}, titles.map((text) => h("th", {scope: "col"}, text)))), body));
  fill(
      view.main, title, facts, h("div", {class: "controls"}, h("label", {}, "Charts over ", axisChoice)), charts,
      h("h2", {}, "Heads"), heat.element, h("h2", {}, "Log"),
      h("div", {class: "controls"}, h("label", {}, follow, " follow")), log, h("h2", {}, "Attempts"),
      table(["#", "State", "Worker", "Began", "Took", "Why it ended"], attempts), h("h2", {}, "Checkpoints"),
      table(["Step", "Size", "Committed", "Mark", "Get it"], checkpoints),
      h("details", {}, h("summary", {}, "Configuration"), config));

  function drawFacts(why, diskFull) {
    const progress = job.progress || {}, ended = finalStates.has(job.state);
    const step = Number(progress.step || 0), most = Number(progress.max_steps || 0);
    // It may stand still on a full disk, and its rate would stay as it was.
    const rate = diskFull ? null : progress.tokens_per_second;
    const left = !ended && job.state === "RUNNING" && step > 0 && rate > 0 ?
        (most - step) * Number(progress.tokens) / step / rate :
        null;
    const latest = progress.latest || {};
    fill(
        facts,
        h("div", {class: "places"}, stateBadge(job.state || "QUEUED", job.stopped_early), " ",
          (job.sweeps || [])
              .map(
                  (place) => h(
                      "span", {}, h("a", {href: `#/sweep/${encodeURIComponent(place.sweep)}`}, place.sweep),
                      ` ${place.experiment || ""} `, h("span", {class: "soft"}, shortLabel(place.label || "")), " "))),
        progressBar(most ? step / most : 0, "Progress of the job"),
        h("ul", {class: "facts small"}, h("li", {}, `step ${step} of ${most}`),
          left !== null ? h("li", {}, `about ${duration(left)} left`) : null,
          rate > 0 && !ended ? h("li", {}, `${count(rate)} tokens/s`) : null,
          h("li", {}, `loss ${fixed(latest.train_loss, 3)}`),
          h("li", {}, `α₁ of the strongest head ${fixed(latest["alpha_max/1"], 3)}`),
          job.worker ? h("li", {}, `on ${(job.gang || [job.worker]).join(", ")}`) : null),
        why && why.length > 0 ? h("ul", {class: "ways"}, why.filter(Boolean).map((sentence) => h("li", {}, sentence))) :
                                null,
        view.mayChange ? h("div", {class: "controls"},
                           ended ? null :
                                   view.action(
                                       "Cancel", "/api/cancel", {job_ids: [id]},
                                       "Cancel this job, for every sweep that has it?", true),
                           job.state === "FAILED" || job.state === "CANCELLED" ?
                               view.action("Retry", "/api/retry", {job_ids: [id]}) :
                               null) :
                         null);
  }
  let waiting = 0;
  function drawCharts() {
    if (waiting) return;
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      const known = Object.keys(curves).sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
      fill(
          charts,
          groups.map(([name, has]) => [name, known.filter(has)])
              .filter(([, metrics]) => metrics.length > 0)
              .map(([name, metrics]) => lineChart({
                     title: name,
                     xLabel: axes[axis],
                     series: seriesOf(curves, metrics, axis, job && job.progress),
                     fromZero: name.startsWith("α") || name.startsWith("Sink")
                   })));
    });
  }
  view.topics.set(`job/${id}`, (kind, data) => {
    if (kind === "gone") {
      fill(view.main, h("p", {class: "empty"}, data));
      return;
    }
    job = data.details.job;
    drawFacts(data.why.reasons || [], data.details.disk_full);
    fill(
        attempts,
        (data.details.attempts || [])
            .map(
                (attempt) =>
                    h("tr", {}, h("td", {}, attempt.attempt), h("td", {}, attempt.state),
                      h("td", {}, attempt.worker || ""), h("td", {}, when(attempt.started_ms)),
                      h("td", {},
                        attempt.finished_ms ? duration((attempt.finished_ms - attempt.started_ms) / 1000) : "–"),
                      h("td", {}, attempt.message || ""))));
    fill(
        checkpoints,
        (data.details.checkpoints || [])
            .map(
                (checkpoint) => h(
                    "tr", {}, h("td", {}, checkpoint.step || 0),
                    h("td", {}, bytes((checkpoint.files || []).reduce((sum, file) => sum + Number(file.size || 0), 0))),
                    h("td", {}, when(checkpoint.committed_ms)),
                    h("td", {}, [checkpoint.pinned && "pinned", checkpoint.best && "best"].filter(Boolean).join(", ")),
                    h("td", {},
                      view.mayChange ?
                          h("a", {href: `/api/checkpoint?job=${id}&step=${checkpoint.step || 0}`, download: true},
                            "Download") :
                          h("span", {class: "soft small"},
                            `sinkctl checkpoint get ${id.slice(0, 8)} --step ${checkpoint.step || 0} --out DIR`)))));
    if (job.config_json && config.textContent === "")
      config.textContent = JSON.stringify(JSON.parse(job.config_json), null, 2);
    drawCharts();
  });
  view.topics.set(`points/${id}`, (kind, data) => {
    if (kind === "gone") return;
    const all = kind === "whole" ? {} : {[id]: curves};
    mergeCurves(all, data.curves);
    curves = all[id] || {};
    drawCharts();
  });
  view.topics.set(`heat/${id}`, (kind, data) => {
    if (kind === "gone") return;
    if (kind === "whole") maps.length = 0;
    maps.push(...data.maps.filter((map) => map.name === "alpha/1"));
    maps.sort((a, b) => a.step - b.step);
    heat.setMaps(maps);
  });
  view.topics.set(`log/${id}`, (kind, data) => {
    if (kind === "gone") return;
    if (kind === "whole") fill(log);
    log.append(...data.lines.map(
        ([time, attempt, level, text]) =>
            h("div", {class: level === "warning" ? "warning-line" : level},
              `${new Date(time).toLocaleTimeString()}  ${text}`)));
    while (log.children.length > 2000) log.firstChild.remove();
    if (follow.checked) log.scrollTop = log.scrollHeight;
    if (log.children.length === 0) fill(log, h("span", {class: "soft"}, "Nothing was logged yet."));
  });
}

export function comparePage(view, ids, options) {
  let metric = options.get("metric") || "alpha_max/1", axis = options.get("axis") || "steps", curves = {};
  const details = new Map(), chart = h("div", {class: "solo"}), body = h("div", {class: "wide"});
  const keep = () => view.replaceOptions({metric, axis});
  const select = metricSelect(metric, (value) => {
    metric = value;
    keep();
    follow();
  });
  fill(
      view.main, h("h1", {}, `${ids.length} jobs side by side`),
      h("div", {class: "controls"}, h("label", {}, "Metric ", select),
        h("label", {}, "over ",
          axisSelect(
              axis,
              (value) => {
                axis = value;
                keep();
                draw();
              }))),
      chart, h("h2", {}, "What differs"), body);
  const label = (id) => {
    const place = details.has(id) && (details.get(id).sweeps || [])[0];
    return `${id.slice(0, 8)}${place ? ` ${shortLabel(place.label || "") || place.experiment}` : ""}`;
  };
  const flat = (object, prefix = "", out = {}) => {
    for (const [key, value] of Object.entries(object))
      if (value && typeof value === "object" && !Array.isArray(value))
        flat(value, `${prefix}${key}.`, out);
      else
        out[prefix + key] = JSON.stringify(value);
    return out;
  };
  function draw() {
    fill(chart, lineChart({
           title: metricTitle(metric),
           xLabel: axes[axis],
           fromZero: /^(alpha|sink_rate)/.test(metric),
           series: ids.map((id, i) => {
             const [steps, values] = (curves[id] || {})[metric] || [[], []];
             return {
               name: label(id),
               color: color(i),
               href: `#/job/${id}`,
               x: onAxis(steps, axis, (details.get(id) || {}).progress),
               y: values
             };
           })
         }));
    const shown = ids.filter((id) => details.has(id)),
          configs = shown.map((id) => flat(JSON.parse(details.get(id).config_json || "{}")));
    const keys = [...new Set(configs.flatMap(Object.keys))].sort().filter(
        (key) => new Set(configs.map((config) => config[key])).size > 1);
    const latest = (name, digits) => h(
        "tr", {}, h("th", {scope: "row"}, metricTitle(name)),
        shown.map((id) => h("td", {class: "n"}, fixed(((details.get(id).progress || {}).latest || {})[name], digits))));
    fill(
        body,
        h("table", {},
          h("thead", {},
            h("tr", {}, h("th", {scope: "col"}, "Setting"),
              shown.map((id) => h("th", {scope: "col"}, h("a", {href: `#/job/${id}`}, label(id)))))),
          h("tbody", {},
            keys.map((key) => {
              const cells = configs.map((config) => h("td", {}, config[key] ?? "–"));
              return h("tr", {}, h("th", {scope: "row"}, key), cells);
            }),
            h("tr", {}, h("th", {scope: "row"}, "State"),
              shown.map((id) => h("td", {}, stateBadge(details.get(id).state || "QUEUED")))),
            latest("train_loss", 3), latest("validation_loss/all", 3), latest("alpha_max/1", 3))));
  }
  function follow() {
    curves = {};
    watchCurves(view, `compare/${ids.join(",")}`, metric, (all) => {
      curves = all;
      draw();
    });
  }
  for (const id of ids.slice(0, 7))
    view.topics.set(`job/${id}`, (kind, data) => {
      if (kind === "gone") return say(data);
      details.set(id, data.details.job);
      setMetrics(
          select,
          [...new Set([...details.values()].flatMap((job) => Object.keys((job.progress || {}).latest || {})))].sort(),
          metric);
      draw();
    });
  follow();
}
