/** The recorder's thread. */
import { parentPort, workerData } from "node:worker_threads";
import { startWriter, type ToWriter, type WriterOptions } from "./writer.ts";

const port = parentPort!;
const receive = startWriter(workerData as WriterOptions, (message) => port.postMessage(message));
port.on("message", (message: ToWriter) => receive(message));
