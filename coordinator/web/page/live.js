// The one connection to the coordinator of this page: server-sent events of the topics that the page shows now. A page
// that nobody looks at closes it, and comes back when it is looked at.

let source = null, topics = [], handlers = new Map(), hiddenSince = 0;

function status(text) {
  document.getElementById("link").textContent = text;
}

function close() {
  if (source) source.close();
  source = null;
}

// The coordinator then shows how to log in.
function loggedOut() {
  close();
  location.reload();
}

async function tryAgain() {
  if (!source || source.readyState !== EventSource.CLOSED) return;
  const now = await getJson("/api/me").catch(() => null);
  if (now && now.name === "")
    loggedOut();
  else if (source && source.readyState === EventSource.CLOSED)
    open();
}

function open() {
  close();
  if (topics.length === 0) return status("");
  status("connecting");
  const mine = source =
      new EventSource(`/api/events?${topics.map((topic) => `topic=${encodeURIComponent(topic)}`).join("&")}`);
  source.onopen = () => status("live");
  source.onerror = () => {
    status("reconnecting");
    // A refusal, unlike a lost connection, is not tried again by itself.
    if (source && source.readyState === EventSource.CLOSED) setTimeout(tryAgain, 3000);
  };
  source.addEventListener("out", loggedOut);
  for (const kind of ["whole", "change", "gone"]) {
    source.addEventListener(kind, async (event) => {
      const told = JSON.parse(event.data);
      await whoAmI();  // was asked before; what is drawn depends on who may do what
      if (source !== mine) return;
      const handler = handlers.get(told.topic);
      if (handler) handler(kind, kind === "gone" ? told.message : told.data);
    });
  }
}

// map: topic -> function(kind, data), kind "whole", "change" or "gone" (data: why). Takes the place of what was
// watched. It is asked for anew even where the topics are the same: these handlers have had no whole.
export function watch(map) {
  handlers = map;
  topics = [...map.keys()];
  open();
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenSince);
  if (document.hidden)
    hiddenSince = setTimeout(() => {
      if (!source) return;
      close();
      status("paused");
    }, 15000);
  else if (!source && topics.length > 0)
    open();
});

// One that is left may be kept for the way back, with its connection, and a browser has six for all pages of a host.
window.addEventListener("pagehide", close);
window.addEventListener("pageshow", (event) => {
  if (event.persisted && topics.length > 0) open();
});

export async function getJson(path) {
  const answer = await fetch(path);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error || answer.statusText);
  return body;
}

// body: text, or what becomes JSON.
export async function post(path, body) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await fetch(path, {method: "POST", headers: {"Sink-Page": "1"}, body: text});
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error || answer.statusText);
  return told;
}

// {name, role, may_change, may_hold}; asked for at once, beside the events and not before them.
const me = getJson("/api/me").catch(() => ({name: ""}));
export function whoAmI() {
  return me;
}
