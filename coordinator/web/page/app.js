// Which page is shown for which address, and what all of them have: the theme, keys, actions, warnings.
import {fill, h, say} from "./dom.js";
import {comparePage, jobPage} from "./job.js";
import {post, watch, whoAmI} from "./live.js";
import {overviewPage, workersPage} from "./overview.js";
import {sweepPage} from "./sweep.js";

const main = document.getElementById("main"), warning = document.getElementById("warning");
let view = null, me = {};  // who looks, once that is known: before the first news of any topic
whoAmI().then((known) => {
  me = known;
  if (me.name) document.getElementById("who").textContent = `${me.name} (${me.role})`;
});

// "#/sweep/NAME?metric=x" -> ["sweep", "NAME"], options
function place() {
  const [path, query] = (location.hash.slice(1) || "/").split("?");
  return {parts: path.split("/").filter(Boolean).map(decodeURIComponent), options: new URLSearchParams(query || "")};
}

function action(label, path, body, question, danger) {
  return h(
      "button", {
        type: "button",
        class: danger ? "danger" : null,
        onclick: async (event) => {
          if (question && !confirm(question)) return;
          const button = event.currentTarget;
          button.disabled = true;
          try {
            const told = await post(path, typeof body === "function" ? body() : body);
            const counts = Object.entries(told).map(
                ([key, value]) =>
                    `${Array.isArray(value) ? value.length : value} ${key.replace("job_ids", "run again")}`);
            say(`${label}: ${counts.join(", ") || "done"}`);
          } catch (error) {
            say(error.message);
          }
          button.disabled = false;
        }
      },
      label);
}

function show() {
  if (view && view.leave) view.leave();
  const {parts, options} = place();
  const mine = view = {
    main,
    topics: new Map(),
    get mayChange() {
      return me.may_change;
    },
    get mayHold() {
      return me.may_hold;
    },
    action,
    leave: null,
    warn: (text) => {
      warning.hidden = !text;
      warning.textContent = text || "";
    },
    rewatch: () => {
      if (view === mine && mine.ready) watch(mine.topics);
    },
    replaceOptions: (changes) => {
      const now = place();
      for (const [key, value] of Object.entries(changes))
        if (value === null)
          now.options.delete(key);
        else
          now.options.set(key, value);
      const query = now.options.toString();
      history.replaceState(null, "", `#/${now.parts.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`);
    },
  };
  main.scrollTop = 0;
  const [page, name] = parts;
  if (page === "sweep" && name)
    sweepPage(view, name, options);
  else if (page === "job" && /^[0-9a-f]{32}$/.test(name || ""))
    jobPage(view, name, options);
  else if (page === "compare" && name)
    comparePage(view, name.split(",").filter((id) => /^[0-9a-f]{32}$/.test(id)), options);
  else if (page === "workers")
    workersPage(view);
  else if (page === undefined)
    overviewPage(view);
  else
    fill(main, h("p", {class: "empty"}, "There is no such page. ", h("a", {href: "#/"}, "All sweeps")));
  mine.ready = true;
  watch(view.topics);
  document.title = `${name ? `${page === "job" ? name.slice(0, 8) : name} · ` : ""}Sink`;
  for (const link of document.querySelectorAll("nav a"))
    if (link.dataset.page === (page || "overview"))
      link.setAttribute("aria-current", "page");
    else
      link.removeAttribute("aria-current");
}

// --- Dark and light
// ---------------------------------------------------------------------------------------------------
const root = document.documentElement;
try {
  if (localStorage.theme) root.dataset.theme = localStorage.theme;
} catch { /* storage is off: the system's choice holds */
}
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.theme = root.dataset.theme;
  } catch { /* as above */
  }
});

// --- Keys
// ---------------------------------------------------------------------------------------------------------------
const keys = [["o", "all sweeps"], ["w", "workers"], ["/", "filter"], ["t", "dark or light"], ["?", "this list"]];
const help =
    h("dialog", {"aria-label": "Keys"}, h("h2", {}, "Keys"),
      h("ul", {}, keys.map(([key, what]) => h("li", {}, h("kbd", {}, key), ` ${what}`))),
      h("form", {method: "dialog"}, h("button", {}, "Close")));
document.body.append(help);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === "o")
    location.hash = "#/";
  else if (event.key === "w")
    location.hash = "#/workers";
  else if (event.key === "t")
    document.getElementById("theme").click();
  else if (event.key === "?")
    help.showModal();
  else if (event.key === "/") {
    const box = main.querySelector("[data-focus]");
    if (box)
      box.focus();
    else
      return;
  } else
    return;
  event.preventDefault();
});
document.getElementById("leave").addEventListener("click", async () => {
  await post("/api/logout", "").catch((error) => say(error.message));
  location.reload();
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

addEventListener("hashchange", show);
show();
