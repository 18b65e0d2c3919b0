// The door of the package: what sources, operators and sinks are written with, and those that there are.
export * from "./runtime/index.ts";
export * from "./sources/index.ts";
export * from "./operators/index.ts";
export * from "./sinks/index.ts";
