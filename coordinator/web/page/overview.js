// The first page: every sweep with its progress, what it found so far, and who works.
import {count, fill, h, percent, progressBar, say, timeLeft} from "./dom.js";

const order = ["RUNNING", "LEASED", "FINALIZING", "DISCONNECTED", "LOST", "QUEUED", "SUCCEEDED", "FAILED", "CANCELLED"];

function verdict(totals) {
  if (!totals.measured) return "nothing measured yet";
  if (!totals.sinks) return `no sink in ${totals.measured} jobs (strongest head ${percent(totals.alpha_max, 0)})`;
  return `a sink in ${totals.sinks} of ${totals.measured} jobs (strongest head ${percent(totals.alpha_max, 0)})`;
}

export function stateCounts(states) {
  return order.filter((state) => states && states[state])
      .map((state) => h("span", {class: `state ${state}`}, `${states[state]} ${state.toLowerCase()}`, " "));
}

function card({sweep, totals}) {
  const states = sweep.jobs_by_state || {};
  return h(
      "article", {class: "card"}, h("h2", {}, h("a", {href: `#/sweep/${encodeURIComponent(sweep.name)}`}, sweep.name)),
      h("div", {class: "small"}, stateCounts(states)), progressBar(totals.fraction, `Progress of ${sweep.name}`),
      h("ul", {class: "facts small"}, h("li", {}, `${percent(totals.fraction, 0)} of all steps`),
        h("li", {}, totals.unfinished > 0 ? timeLeft(totals) : "ended"),
        totals.tokens_per_second > 0 ? h("li", {}, `${count(totals.tokens_per_second)} tokens/s`) : null),
      h("p", {class: "small soft"}, verdict(totals)));
}

export function overviewPage(view) {
  const sweeps = new Map(), workers = h("p", {class: "soft"});
  const search = h("input", {
    type: "search",
    placeholder: "Filter sweeps",
    "aria-label": "Filter sweeps",
    "data-focus": true,
    oninput: () => draw()
  });
  const cards = h("div", {class: "cards"});
  fill(view.main, h("h1", {}, "Sweeps"), h("div", {class: "controls"}, search), workers, cards);
  const drawn = new Map();
  function draw() {
    const words = search.value.toLowerCase();
    const names = [...sweeps.keys()]
                      .filter((name) => name.toLowerCase().includes(words))
                      .sort((a, b) => Number(sweeps.get(b).sweep.created_ms) - Number(sweeps.get(a).sweep.created_ms));
    const elements = names.map((name) => {
      const data = sweeps.get(name);
      if (!drawn.has(name) || drawn.get(name).data !== data) drawn.set(name, {data, element: card(data)});
      return drawn.get(name).element;
    });
    // Cards stay where they are in the document unless they are other cards: focus and selection stay, too.
    if (elements.length !== cards.children.length || elements.some((element, i) => cards.children[i] !== element)) {
      fill(
          cards,
          elements.length > 0 ? elements :
                                h("p", {class: "empty"},
                                  sweeps.size > 0 ? "No sweep has this in its name." :
                                                    "No sweep is stored yet: sinkctl submit sweeps/quickstart.yaml"));
    }
  }
  view.topics.set("overview", (kind, data) => {
    if (kind === "gone") return say(data);
    if (kind === "whole") sweeps.clear();
    for (const entry of data.sweeps) sweeps.set(entry.sweep.name, entry);
    view.warn(data.warning);
    const fleet = data.fleet;
    fill(
        workers, h("a", {href: "#/workers"}, `${fleet.workers} ${fleet.workers === 1 ? "worker" : "workers"}`),
        ` connected, ${fleet.devices - fleet.devices_free} of ${fleet.devices} devices busy`);
    draw();
  });
}

function hold(view, worker) {
  const name = worker.name;
  const change = (label, how, question) => view.action(
      label, "/api/hold", {names: [name], hold: how, reason: how === "none" ? "" : "from the page"}, question);
  return [
    worker.hold ? change("Let it go on", "none") : change("Cordon", "cordoned"), " ",
    worker.hold !== "draining" ? change("Drain", "draining", `Take back what ${name} runs? It is saved first.`) : null
  ];
}

// Worker states look like those of jobs.
const WORKER_LOOKS = {CONNECTED: "SUCCEEDED", STOPPED: "CANCELLED"};

function workerRow(view, worker) {
  const here = worker.state === "CONNECTED";
  const busy = worker.devices ? 1 - (worker.devices_free || 0) / worker.devices : 0;
  const why = worker.hold ? `${worker.hold}${worker.hold_reason ? `: ${worker.hold_reason}` : ""}` : "";
  const cells = [
    h("strong", {}, worker.name),
    [
      h("span", {class: `state ${WORKER_LOOKS[worker.state] || "FAILED"}`}, worker.state.toLowerCase()),
      h("div", {class: "small"}, why)
    ],
    `${worker.devices || 0} × ${worker.device_kind || "?"}`,
    here ? progressBar(busy, `Busy devices of ${worker.name}`) : "–",
    (worker.job_ids || []).map((id) => h("div", {}, h("a", {href: `#/job/${id}`}, id.slice(0, 8)))),
    worker.version || "",
    view.mayHold ? hold(view, worker) : "",
  ];
  return h("tr", {}, cells.map((cell) => h("td", {}, cell)));
}

export function workersPage(view) {
  const body = h("tbody");
  let workers = [];
  const titles = ["Worker", "State", "Devices", "Busy", "Runs", "Version", "Hold"];
  fill(
      view.main, h("h1", {}, "Workers and devices"),
      h("div", {class: "wide"},
        h("table", {}, h("thead", {}, h("tr", {}, titles.map((title) => h("th", {scope: "col"}, title)))), body)));
  view.topics.set("workers", (kind, data) => {
    if (kind === "gone") return say(data);
    view.warn(data.warning);
    if (kind === "whole") {
      workers = data.workers;
      const advice = "No worker is known: start sink-worker on a machine.";
      const none = h("td", {colspan: titles.length, class: "soft"}, advice);
      fill(body, workers.length > 0 ? workers.map((worker) => workerRow(view, worker)) : h("tr", {}, none));
      return;
    }
    for (const [place, worker] of data.changed) {
      workers[place] = worker;
      body.children[place].replaceWith(workerRow(view, worker));
    }
  });
}
