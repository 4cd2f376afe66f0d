// Swaps the token of a link of `sinkctl page` for a session, and goes on to the page. Without one, the page says how to
// get it.
import {post} from "./live.js";

const token = location.hash.slice(1);
if (/^[0-9a-f]{64}$/.test(token)) {
  // It is nobody else's business, and works no second time.
  history.replaceState(null, "", "/open");
  const told = document.getElementById("told");
  try {
    await post("/api/open", token);
    told.textContent = "Logged in.";
    location.replace("/");
  } catch (error) {
    told.textContent = error.message;
  }
}
