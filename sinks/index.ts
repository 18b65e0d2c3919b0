// The door of sinks/: one line a sink.
export {};
