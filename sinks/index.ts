// The door of sinks/: one line a sink.
export { websocket } from "./websocket.ts";
