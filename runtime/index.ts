// The door of runtime/: what sources, operators, sinks and cli may use.

// Definitions
export {
  defineOperator, defineSink, defineSource, SourceError, WiringError,
  type Fault, type FrameReference, type Inputs, type OperatorInstance, type Out, type Ports, type PortWriter, type Registry, type Rows,
  type SinkHandle, type SourceColumns, type SourceContext, type SourceItem, type StartContext,
} from "./define.ts"; // prettier-ignore

// Columns and their schemas
export { code, curve, image, imageSize, label, scalar, type Field, type Fields, type Numeric, type Schema } from "./wire/schema.ts";
export { isList, type Column, type Columns, type ListColumn } from "./columns.ts";

// Options
export { choice, flag, integer, list, quantity, record, REQUIRED, text, type ConfigOf } from "./config.ts";

// Units
export { convert, parseQuantity, parseUnit, sameUnit } from "./wire/units.ts";

// What sinks see
export type { Batch, StreamState } from "./batch.ts";
export type { MinMax, ReadRange, RunView, StreamInfo } from "./run-view.ts";
