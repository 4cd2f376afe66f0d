// Elements and words. Text of users reaches the page through textContent alone.

// h("a", {href: "#/", class: "x", onclick: f}, "text", element, ...): null and false are left out.
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  put(element, properties);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  put(element, attributes);
  element.append(...children.flat().filter(Boolean));
  return element;
}

function put(element, properties) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on"))
      element.addEventListener(name.slice(2), value);
    else if (name === "style")
      Object.assign(element.style, value);
    else
      element.setAttribute(name, value === true ? "" : value);
  }
}

export function fill(element, ...children) {
  element.replaceChildren(
      ...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const known = (value) => value !== null && value !== undefined && Number.isFinite(Number(value));

export function fixed(value, digits) {
  return known(value) ? Number(value).toFixed(digits) : "–";
}
export function percent(value, digits = 1) {
  return known(value) ? `${(Number(value) * 100).toFixed(digits)}%` : "–";
}

// 12345 -> "12.3k"
export function count(value) {
  if (!known(value)) return "–";
  let number = Number(value);
  for (const unit of ["", "k", "M", "G", "T"]) {
    if (Math.abs(number) < 1000)
      return (unit && Math.abs(number) < 100 ? number.toFixed(1) : String(Math.round(number))) + unit;
    number /= 1000;
  }
  return `${number.toFixed(0)}P`;
}

export function bytes(value) {
  return `${count(value)}B`;
}

export function duration(seconds) {
  if (!known(seconds)) return "–";
  const s = Math.max(0, Math.round(Number(seconds)));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60 ? `${s % 60} s` : ""}`.trim();
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function when(ms) {
  return Number(ms) > 0 ? new Date(Number(ms)).toLocaleString([], {dateStyle: "medium", timeStyle: "short"}) : "–";
}

// "train.learning_rate=0.001" -> "learning_rate=0.001", word by word.
export function shortLabel(label) {
  return label.split(" ").map((word) => word.replace(/^[a-z_]+\.(?:[a-z_]+\.)*(?=[a-z_]+=)/, "")).join(" ");
}

export const finalStates = new Set(["SUCCEEDED", "FAILED", "CANCELLED"]);

// totals: as the coordinator tells them of a sweep.
export function timeLeft(totals) {
  if (!known(totals.eta_seconds)) return "the end is not known yet";
  const least = totals.eta_seconds_least, most = totals.eta_seconds_most;
  return most > least && most >= 1.2 * least ? `${duration(least)} to ${duration(most)} left` :
                                               `about ${duration(totals.eta_seconds)} left`;
}

export function stateBadge(state, stoppedEarly = false) {
  const word = state === "CANCELLED" && stoppedEarly ? "stopped early" : (state || "QUEUED").toLowerCase();
  return h("span", {class: `state ${state}`}, word);
}

export function progressBar(fraction, label) {
  const now = Math.round(Math.min(1, Math.max(0, fraction || 0)) * 1000) / 10;
  return h(
      "div", {
        class: "bar",
        role: "progressbar",
        "aria-label": label,
        "aria-valuemin": 0,
        "aria-valuemax": 100,
        "aria-valuenow": now
      },
      h("i", {style: {width: `${now}%`}}));
}

let saidUntil = 0;
export function say(text) {
  const box = document.getElementById("said");
  fill(box, h("p", {}, text));
  clearTimeout(saidUntil);
  saidUntil = setTimeout(() => fill(box), 6000);
}
