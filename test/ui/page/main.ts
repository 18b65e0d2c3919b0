/** The page on a made-up client; the test moves its time by hand. */
import { FakeClient, START } from "../fake-client.ts";
import "../../../ui/op-app.ts";
import type { OpApp } from "../../../ui/op-app.ts";

declare global {
  interface Window {
    fake: FakeClient;
    app: OpApp;
    /** Newest row painted so far, ms. */
    painted: number;
    START: number;
  }
}

const asked = new URLSearchParams(location.search);
const onset = asked.get("onset_min");
const history = asked.get("history_min");
const fake = new FakeClient({
  ...(onset !== null && { onset: START + Number(onset) * 60_000 }),
  ...(history !== null && { history: Number(history) * 60_000 }),
  tomography: asked.has("tomography"),
  afm: asked.has("afm"),
  echem: asked.has("echem") ? (asked.get("echem") === "beside" ? "beside" : "alone") : undefined,
});
const app = document.createElement("op-app");
app.client = fake;
app.addEventListener("painted", ({ detail }) => void (window.painted = detail.time));
Object.assign(window, { fake, app, painted: 0, START });
document.body.append(app);
