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

function open() {
  close();
  if (topics.length === 0) return status("");
  status("connecting");
  source = new EventSource(`/api/events?${topics.map((topic) => `topic=${encodeURIComponent(topic)}`).join("&")}`);
  source.onopen = () => status("live");
  source.onerror = () => {
    status("reconnecting");
    // A refusal, unlike a lost connection, is not tried again by itself.
    if (source && source.readyState === EventSource.CLOSED)
      setTimeout(() => {
        if (source && source.readyState === EventSource.CLOSED) open();
      }, 3000);
  };
  for (const kind of ["whole", "change", "gone"]) {
    source.addEventListener(kind, (event) => {
      const told = JSON.parse(event.data);
      const handler = handlers.get(told.topic);
      if (handler) handler(kind, kind === "gone" ? told.message : told.data);
    });
  }
}

// map: topic -> function(kind, data), kind "whole", "change" or "gone" (data: why). Takes the place of what was
// watched.
export function watch(map) {
  handlers = map;
  const wanted = [...map.keys()];
  if (source && wanted.join(" ") === topics.join(" ")) return;
  topics = wanted;
  open();
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenSince);
  if (document.hidden)
    hiddenSince = setTimeout(() => {
      close();
      status("paused");
    }, 15000);
  else if (!source && topics.length > 0)
    open();
});

export async function getJson(path) {
  const answer = await fetch(path);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error || answer.statusText);
  return body;
}

export async function post(path, body) {
  const answer =
      await fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error || answer.statusText);
  return told;
}

let me = null;
export async function mayChange() {
  if (me === null) me = getJson("/api/me").then((answer) => answer.may_change, () => false);
  return me;
}
