// The door of runtime/: what sources, operators, sinks and cli may use.

// Definitions
export {
  defineOperator, defineSink, defineSource, SourceError, WiringError,
  type Action, type AnyOperator, type AnySink, type AnySource, type Fault, type FrameReference, type Inputs, type ListKey, type OperatorInstance, type Out, type Ports, type PortWriter, type Registry, type Rows,
  type SinkHandle, type SourceColumns, type SourceContext, type SourceItem, type StartContext,
} from "./define.ts"; // prettier-ignore

// Columns and their schemas
export {
  code,
  curve,
  image,
  imageSize,
  label,
  scalar,
  type Field,
  type Fields,
  type Numeric,
  type NumericArray,
  type Schema,
} from "./wire/schema.ts";
export { isList, type Column, type Columns, type ListColumn } from "./columns.ts";

// Options
export {
  choice, flag, integer, list, nearest, quantity, readConfig, record, REQUIRED, text, unknownName,
  type ConfigOf, type Option, type Options,
} from "./config.ts"; // prettier-ignore

// Arrow
export { toArrowSchema } from "./arrow.ts";

// Times
export { formatTime, parseTime } from "./wire/time.ts";

// Units
export { own } from "./wire/own.ts";
export { convert, parseQuantity, parseUnit, sameUnit } from "./wire/units.ts";

// What sinks see
export { BEGIN_OF_TIME, END_OF_TIME, type Batch, type StreamState } from "./batch.ts";
export { concat, slice } from "./columns.ts";
export { toArrow } from "./arrow.ts";
export { cut, firstAtOrAfter } from "./stream.ts";
export type { Acted, MinMax, ReadRange, RunView, StreamInfo } from "./run-view.ts";

// Wiring
export {
  commonSourceOptions, wire,
  type AlarmSpec, type CommonSourceOptions, type NodeSpec, type OperatorSpec, type PipelineSpec, type Plan, type PlannedAlarm,
  type PlannedOperator, type PlannedSink, type PlannedSource, type Problem, type Surroundings,
} from "./wiring.ts"; // prettier-ignore

// The wire
export {
  bodyOf, CLOSE, decodeHeader, encodeHeader, ENCODING, FLAG, HEADER_BYTES, joinMessage, KIND, pack, plainHeader,
  PROTOCOL_VERSION, readClientMessage, SUB_PROTOCOL, unpack,
  type ActedMessage, type ActMessage, type Catalogue, type CatalogueEntry, type ChangeableNode, type ChangeableOption, type ClientMessage, type EpochMessage, type Gap, type Header, type Health,
  type KindCode, type Nodes, type Pong, type Position, type StreamHealth, type StreamPosition, type SubscribeMessage, type Welcome,
  type WireError,
} from "./wire/protocol.ts"; // prettier-ignore
export {
  bucketOf, BucketRing, bucketWidth, decodeBlock, encodeBlock, type BucketBlock, type BucketColumn,
} from "./wire/buckets.ts"; // prettier-ignore
export { columnsOf, fromArrowMessages, toArrowMessages, type ArrowMessages } from "./wire/arrow-messages.ts";

// Recorded runs
export { openRun, recordedPorts, RunError, type RecordedRun } from "./journal/index.ts";

// Running
export { ActionError } from "./actions.ts";
export { Run, type Outcome, type Recording, type RunOptions, type RunRecorder } from "./run.ts";
export { startInThreads } from "./workers.ts";
export { startSideThread } from "./side-threads.ts";
export { threadUrl } from "./thread-url.ts";
