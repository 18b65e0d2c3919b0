/**
 * What a source gave in a recorded run, by port, from the schemas alone: read at once, so that a graph can be checked
 * before it starts.
 */
import { closeSync, existsSync, fstatSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { unknownName } from "../config.ts";
import type { Ports } from "../define.ts";
import type { Field, Fields } from "../wire/schema.ts";
import { messageAt, segmentHead, type SegmentHead } from "./message.ts";
import { originalSchema } from "./reference.ts";
import { RunError } from "./run-error.ts";
import { DATA } from "./segment.ts";
import { readerOf } from "./stream-files.ts";

/** Columns that a stream has in all its epochs, by port. Throws RunError where there is no such run or source. */
export function recordedPorts(directory: string, source: string): Ports {
  if (!existsSync(directory)) throw new RunError(`${directory}: there is no such directory`);
  if (!existsSync(join(directory, "run.json")))
    throw new RunError(`${directory} is not a recorded run: it has no run.json`);
  const streams = join(directory, "streams");
  const ports: Record<string, Fields> = {};
  const sources = new Set<string>();
  for (const folder of existsSync(streams) ? readdirSync(streams).sort() : []) {
    const [head] = headsIn(join(streams, folder), 1);
    if (!head || head.derived || !head.stream.includes(".")) continue;
    const port = portOf(head.stream);
    const node = head.stream.slice(0, head.stream.indexOf("."));
    sources.add(node);
    if (node === source && port !== undefined) ports[port] = common(headsIn(join(streams, folder)));
  }
  if (sources.has(source)) return ports;
  throw new RunError(
    sources.size === 0
      ? `${directory} holds no streams of sources`
      : `${directory}: source ${unknownName(source, [...sources])}`,
  );
}

/** The port of a source that a stream was recorded from; undefined of what the runtime wrote beside it. */
export function portOf(stream: string): string | undefined {
  const port = stream.slice(stream.indexOf(".") + 1);
  return port === "faults" || port.endsWith(".late") ? undefined : port;
}

/** How the segments begin, in their order; what a crash has torn is left out. */
function headsIn(folder: string, most = Infinity): SegmentHead[] {
  const heads: SegmentHead[] = [];
  for (const name of readdirSync(folder).sort()) {
    if (heads.length >= most) break;
    if (!name.endsWith(DATA)) continue;
    const file = openSync(join(folder, name), "r");
    try {
      const found = messageAt(readerOf(file), 0, fstatSync(file).size);
      if (found.what === "schema") heads.push(segmentHead(found.message));
    } catch {
      // Whoever reads the rows says what is wrong with this segment.
    } finally {
      closeSync(file);
    }
  }
  return heads;
}

/** Columns of the same kind, type and unit in all epochs; a size that changes is not known beforehand. */
function common(heads: readonly SegmentHead[]): Fields {
  const epochs = new Map(heads.map((head) => [head.epoch, fieldsOf(head)]));
  const [first = {}, ...others] = epochs.values();
  const shared: Record<string, Field> = {};
  for (const [name, field] of Object.entries(first)) {
    const same = others.every((fields) => {
      const other = fields[name];
      return other?.kind === field.kind && other.type === field.type && other.unit === field.unit;
    });
    if (!same) continue;
    const sized = others.every((fields) => String(fields[name]!.shape) === String(field.shape));
    shared[name] = sized
      ? field
      : { ...field, shape: field.shape!.map((_, axis) => AXES[axis] ?? `axis_${axis}`) };
  }
  return shared;
}

const AXES = ["row", "col"];

const fieldsOf = ({ schema, references }: SegmentHead): Fields =>
  (references ? originalSchema(schema, references) : schema).fields;
