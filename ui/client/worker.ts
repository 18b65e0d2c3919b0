/** The web worker: hands what the page says to a session, and what the session says to the page. */
import type { ToWorker } from "./messages.ts";
import { Session } from "./session.ts";

const worker = globalThis as unknown as {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  onmessage: (event: { data: ToWorker }) => void;
};

const session = new Session((message, transfer) => worker.postMessage(message, transfer), WebSocket);
worker.onmessage = ({ data }) => session.take(data);
