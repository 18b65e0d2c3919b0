// The journal: a run is a directory of Arrow streams, their indexes, and run.json.

// Recording
export {
  createRecorder,
  type AppendOptions,
  type Recorder,
  type RecorderOptions,
  type RecorderPosition,
} from "./recorder.ts";
export { writeManifest, type Manifest } from "./manifest.ts";

// Reading
export {
  openRun, type Damage, type OpenOptions, type RecordedEpoch, type RecordedRun, type RecordedStream,
} from "./run.ts"; // prettier-ignore
export { recordedPorts } from "./ports.ts";
export type { Span } from "./min-max.ts";
export type { Resolve } from "./reference.ts";
export { RunError } from "./run-error.ts";
