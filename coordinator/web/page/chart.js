// Line charts as SVG, and maps by layer and head. A chart is redrawn whole when its data changes: some hundred points
// a line cost less than a millisecond.
import {fill, h, svg} from "./dom.js";

const left = 52, right = 22, top = 8, bottom = 34;
// A drawing is scaled to its place; on a phone it is drawn smaller, so that its words are not.
const sizeHere = () => matchMedia("(max-width: 640px)").matches ? [380, 230] : [560, 260];
export const color = (index) => `var(--s${index % 8})`;

function niceTicks(least, most, wanted) {
  const rough = (most - least) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((candidate) => candidate >= rough * 0.999);
  const ticks = [];
  for (let tick = Math.ceil(least / step - 1e-9) * step; tick <= most + step * 1e-9; tick += step) ticks.push(tick);
  return {ticks, step};
}

export function tickText(value, step) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e9) return `${+ (value / 1e9).toPrecision(4)}G`;
  if (size >= 1e6) return `${+ (value / 1e6).toPrecision(4)}M`;
  if (size >= 1e4) return `${+ (value / 1e3).toPrecision(4)}k`;
  if (size < 1e-3) return value.toExponential(0);
  return String(+value.toFixed(Math.max(0, Math.min(8, -Math.floor(Math.log10(step || 1))) + 1)));
}

// options: {title, xLabel, yLabel, series: [{name, color, x: [], y: [], href}], lines: [{name, color, y}], fromZero}
// Returns a figure; its legend names each colour once.
export function lineChart(options) {
  const shown =
      options.series.map((line) => ({...line, points: pointsOf(line)})).filter((line) => line.points.length > 0);
  const caption = h("figcaption", {}, options.title);
  if (shown.length === 0) return h("figure", {}, caption, h("p", {class: "soft small"}, "Nothing measured yet."));
  const [width, height] = sizeHere();
  const xs = shown.flatMap((line) => line.points.map((p) => p[0]));
  const ys = shown.flatMap((line) => line.points.map((p) => p[1])).concat((options.lines || []).map((line) => line.y));
  const xMin = Math.min(0, minOf(xs)), last = maxOf(xs), xMax = last > xMin ? last : xMin + 1;
  let yMin = options.fromZero ? Math.min(0, minOf(ys)) : minOf(ys), yMax = maxOf(ys);
  if (yMax - yMin < 1e-12) {
    const room = Math.abs(yMax) * 0.1 || 1;
    yMax += room;
    if (!options.fromZero) yMin -= room;
  }
  yMax += (yMax - yMin) * 0.04;  // so that nothing is drawn on the edge
  const px = (x) => left + (x - xMin) / (xMax - xMin) * (width - left - right);
  const py = (y) => height - bottom - (y - yMin) / (yMax - yMin) * (height - top - bottom);
  const drawn = [];
  const vertical = niceTicks(yMin, yMax, 5), horizontal = niceTicks(xMin, xMax, 5);
  for (const tick of vertical.ticks) {
    drawn.push(svg("line", {class: "grid", x1: left, x2: width - right, y1: py(tick), y2: py(tick)}));
    drawn.push(svg("text", {x: left - 6, y: py(tick) + 4, "text-anchor": "end"}, tickText(tick, vertical.step)));
  }
  for (const tick of horizontal.ticks)
    drawn.push(
        svg("text", {x: px(tick), y: height - bottom + 15, "text-anchor": "middle"}, tickText(tick, horizontal.step)));
  drawn.push(
      svg("text", {x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle"}, options.xLabel || "steps"));
  for (const line of options.lines || [])
    drawn.push(
        svg("line", {class: "paper", stroke: line.color, x1: left, x2: width - right, y1: py(line.y), y2: py(line.y)},
            svg("title", {}, `${line.name}: ${+ line.y.toPrecision(4)}`)));
  for (const line of shown) {
    const path = line.points.map((p, i) => `${i ? "L" : "M"}${px(p[0]).toFixed(1)} ${py(p[1]).toFixed(1)}`).join("");
    drawn.push(
        svg("path", {class: "curve", stroke: line.color, d: path, "stroke-opacity": line.faint ? 0.35 : null},
            svg("title", {}, line.name)));
    if (line.points.length === 1)
      drawn.push(svg("circle", {cx: px(line.points[0][0]), cy: py(line.points[0][1]), r: 3, fill: line.color}));
  }
  const cursor = svg("line", {class: "cursor", y1: top, y2: height - bottom, x1: -9, x2: -9});
  const newest = shown.slice(0, 6)
                   .map((line) => `${line.name}: ${+ line.points[line.points.length - 1][1].toPrecision(4)}`)
                   .join("; ");
  const picture =
      svg("svg", {
        class: "chart",
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": `${options.title}, ${shown.length} lines over ${options.xLabel || "steps"}. Newest: ${newest}`
      },
          drawn, cursor);
  const reading = h("p", {class: "soft small reading", "aria-hidden": "true"}, options.yLabel || "\u00a0");
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const x = xMin + ((event.clientX - box.left) / box.width * width - left) / (width - left - right) * (xMax - xMin);
    cursor.setAttribute("x1", px(x));
    cursor.setAttribute("x2", px(x));
    const near = shown.slice(0, 5).map((line) => {
      const p = line.points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
      return `${line.name} ${+ p[1].toPrecision(4)}`;
    });
    reading.textContent = `at ${tickText(x, (xMax - xMin) / 100)}: ${near.join(" · ")}`;
  });
  picture.addEventListener("pointerleave", () => {
    cursor.setAttribute("x1", -9);
    cursor.setAttribute("x2", -9);
    reading.textContent = options.yLabel || "\u00a0";
  });
  const named = new Map();
  for (const line of shown)
    if (!line.faint && !named.has(line.color + line.name)) named.set(line.color + line.name, line);
  const legend = options.legend === false ?
      null :
      h("ul", {class: "legend"},
        [...named.values()].slice(0, 24).map(
            (line) =>
                h("li", {}, h("i", {style: {background: line.color}}),
                  line.href ? h("a", {href: line.href}, line.name) : line.name)),
        (options.lines || []).length > 0 ? h("li", {class: "soft"}, "dashed: the paper's values") : null);
  return h("figure", {}, caption, picture, reading, legend);
}

function pointsOf(line) {
  const points = [];
  for (let i = 0; i < line.x.length; ++i)
    if (Number.isFinite(line.x[i]) && Number.isFinite(line.y[i])) points.push([line.x[i], line.y[i]]);
  return points.sort((a, b) => a[0] - b[0]);
}
function minOf(list) {
  return list.reduce((a, b) => b < a ? b : a, Infinity);
}
function maxOf(list) {
  return list.reduce((a, b) => b > a ? b : a, -Infinity);
}

const mostPoints = 1600;  // of a curve; no chart is that wide

// The same curve by a quarter to a half of its points, evenly over its steps; the first and the newest stay.
function thinned([steps, values]) {
  const last = steps.length - 1, gap = (steps[last] - steps[0]) / (mostPoints / 2);
  const kept = [];
  steps.forEach((step, i) => {
    if (i === 0 || i === last || step >= steps[kept[kept.length - 1]] + gap) kept.push(i);
  });
  return [kept.map((i) => steps[i]), kept.map((i) => values[i])];
}

// Points that came since join those that are there; a step that is there already takes the new value. A page that stays
// open for days gets no slower by it.
export function mergeCurves(all, fresh) {
  for (const [job, metrics] of Object.entries(fresh)) {
    const mine = all[job] || (all[job] = {});
    for (const [metric, [steps, values]] of Object.entries(metrics)) {
      const curve = mine[metric] || (mine[metric] = [[], []]);
      while (curve[0].length > 0 && curve[0][curve[0].length - 1] >= steps[0]) curve.forEach((list) => list.pop());
      curve[0].push(...steps);
      curve[1].push(...values);
      if (curve[0].length > mostPoints) mine[metric] = thinned(curve);
    }
  }
}

// --- Maps by layer and head -----------------------------------------------------------------------------------------
// Stops of cividis, which reads the same for colour-blind eyes.
const stops = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120], [165, 156, 116],
  [195, 179, 105], [225, 204, 85], [253, 234, 69]
];
export function heatColor(value) {
  if (!Number.isFinite(value)) return "transparent";
  const place = Math.min(1, Math.max(0, value)) * (stops.length - 1),
        below = Math.min(stops.length - 2, Math.floor(place)), part = place - below;
  return `rgb(${
      stops[below].map((channel, i) => Math.round(channel + (stops[below + 1][i] - channel) * part)).join(",")})`;
}

// A player of maps: give it maps with setMaps; it keeps its place, and at the end follows what comes.
export class HeatPlayer {
  constructor(title) {
    this.maps = [];
    this.at = -1;
    this.timer = 0;
    this.grid = h("div", {class: "heat", role: "img"});
    this.slider = h("input", {
      type: "range",
      min: 0,
      max: 0,
      value: 0,
      "aria-label": "Training step of the map",
      oninput: () => {
        this.stop();
        this.show(Number(this.slider.value));
      }
    });
    this.button = h("button", {type: "button", onclick: () => this.timer ? this.stop() : this.play()}, "Play");
    this.told = h("output", {class: "soft small"});
    this.element =
        h("figure", {}, h("figcaption", {}, title), h("div", {class: "controls"}, this.button, this.slider, this.told),
          this.grid,
          h("div", {class: "scale", "aria-hidden": "true"}, "0",
            [...Array(10).keys()].map((i) => h("i", {style: {background: heatColor(i / 9)}})), "1"));
  }
  setMaps(maps) {
    const atEnd = this.at < 0 || this.at >= this.maps.length - 1;
    this.maps = [...maps];  // the caller goes on with its own
    this.slider.max = Math.max(0, maps.length - 1);
    if (maps.length > 0)
      this.show(atEnd && !this.timer ? maps.length - 1 : Math.min(this.at, maps.length - 1));
    else
      fill(this.grid, h("span", {}, "No map yet."));
  }
  show(index) {
    const map = this.maps[index];
    this.at = index;
    this.slider.value = index;
    this.slider.setAttribute("aria-valuetext", `step ${map.step}`);
    let best = 0;
    map.values.forEach((value, i) => {
      if (value > (map.values[best] ?? -1)) best = i;
    });
    const said = `step ${map.step}: strongest is layer ${Math.floor(best / map.heads)}, head ${
        best % map.heads}, with ${(map.values[best] ?? NaN).toFixed(3)}`;
    this.told.textContent = said;
    this.grid.setAttribute("aria-label", said);
    if (this.shape !== `${map.layers}x${map.heads}`) this.build(map);
    map.values.forEach((value, i) => {
      this.cells[i].style.background = heatColor(value ?? NaN);
      this.cells[i].title =
          `layer ${Math.floor(i / map.heads)}, head ${i % map.heads}: ${value === null ? "not a number" : value}`;
    });
  }
  build(map) {
    this.shape = `${map.layers}x${map.heads}`;
    this.cells = map.values.map(() => h("i", {}));
    this.grid.style.gridTemplateColumns = `auto repeat(${map.heads}, minmax(0, 1fr))`;
    const rows =
        [h("span", {}, "layer"), ...[...Array(map.heads).keys()].map((head) => h("span", {class: "column"}, head))];
    // The last layer is on top, as in the report's figures.
    for (let layer = map.layers - 1; layer >= 0; --layer)
      rows.push(h("span", {}, layer), ...this.cells.slice(layer * map.heads, (layer + 1) * map.heads));
    fill(this.grid, rows);
  }
  play() {
    if (this.maps.length === 0) return;
    if (this.at >= this.maps.length - 1) this.show(0);
    this.button.textContent = "Pause";
    this.timer = setInterval(() => this.at >= this.maps.length - 1 ? this.stop() : this.show(this.at + 1), 250);
  }
  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.button.textContent = "Play";
  }
}
