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

const onset = new URLSearchParams(location.search).get("onset_min");
const fake = new FakeClient(onset === null ? {} : { onset: START + Number(onset) * 60_000 });
const app = document.createElement("op-app");
app.client = fake;
app.addEventListener("painted", ({ detail }) => void (window.painted = detail.time));
Object.assign(window, { fake, app, painted: 0, START });
document.body.append(app);
