/** The page that the server sends: one client, one element. */
import { connect } from "./client/client.ts";
import "./op-app.ts";

const url = new URL(".", location.href);
url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
url.search = "";
// Behind the #, a token never travels to the server with the request for the page.
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const client = connect(url.href, { token });

const app = document.createElement("op-app");
app.client = client;
document.body.append(app);
window.addEventListener("pagehide", (event) => void (!event.persisted && client.close()));
