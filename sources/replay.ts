/**
 * One source of a recorded run, played as a source of another pipeline: the same rows in the same epochs, with the
 * promises that were recorded, and its faults. What was late then stays out: its time had been given up.
 *
 * The recorded streams of the source are merged by event time: next is read the one that has promised least, so
 * that none runs ahead of the others. A row is handed on once its own stream has promised that none before it
 * comes, so batches that overlapped come in the order of time.
 */
import { resolve } from "node:path";
import {
  BEGIN_OF_TIME, concat, defineSource, END_OF_TIME, firstAtOrAfter, openRun, recordedPorts, REQUIRED, slice, text,
  type Columns, type Fault, type Ports, type RecordedRun, type Schema, type SourceItem,
} from "../runtime/index.ts"; // prettier-ignore
import { readFrame } from "./xray/tomography.ts";

export const replay = defineSource({
  name: "replay",
  doc: "One source of a recorded run, played again in another pipeline",
  output: ({ path, node }, directory): Ports => recordedPorts(resolve(directory, path), node),
  closed: true,
  config: {
    path: text(REQUIRED, { doc: "directory of the recorded run" }),
    node: text(REQUIRED, { doc: "name of the source in that run; its recorded streams are the ports" }),
  },
  async *open({ path, node }, { directory }) {
    const place = resolve(directory, path);
    const ports = Object.keys(recordedPorts(place, node));
    const run = await openRun(place, { resolve: readFrame });
    try {
      yield* play(run, node, ports);
    } finally {
      await run.close();
    }
  },
});

/** What one stream says next. */
interface Part {
  readonly schema?: Schema;
  readonly columns?: Columns;
  /** ns; none of its later rows is before it. */
  readonly promised: bigint;
}

async function* play(run: RecordedRun, node: string, ports: readonly string[]): AsyncGenerator<SourceItem> {
  const faults = await faultsOf(run, node);
  const due = (before: bigint): readonly Fault[] => {
    const end = before === END_OF_TIME ? -1 : faults.findIndex(({ time }) => time >= before);
    return faults.splice(0, end < 0 ? faults.length : end);
  };
  const players = ports.map((port) => ({
    port,
    parts: partsOf(run, `${node}.${port}`),
    promised: BEGIN_OF_TIME,
  }));
  try {
    // The schemas of all streams before any row, also of those that stayed empty.
    const schemas: Record<string, Schema> = {};
    for (const { port, parts } of players) {
      const { value } = await parts.next();
      if (value?.schema) schemas[port] = value.schema;
    }
    yield { schema: schemas };

    let watermark = BEGIN_OF_TIME;
    let newest = BigInt(run.manifest.origin);
    while (watermark < END_OF_TIME) {
      const player = players.reduce((a, b) => (b.promised < a.promised ? b : a));
      const { value: part } = await player.parts.next();
      player.promised = part ? part.promised : END_OF_TIME;
      const least = players.reduce((time, { promised }) => (promised < time ? promised : time), END_OF_TIME);
      const { port } = player;
      const { schema, columns } = part ?? {};
      if (columns) newest = columns.time.reduce((a, t) => (t > a ? t : a), newest);
      // Before the rows that pass them.
      const found = due(least);
      if (schema || columns || found.length > 0 || (least > watermark && least < END_OF_TIME)) {
        yield {
          faults: found,
          ...(schema && { schema: { [port]: schema } }),
          ...(columns && { rows: { [port]: columns } }),
          ...(least > BEGIN_OF_TIME && least < END_OF_TIME && { watermark: least }),
        };
      }
      watermark = least;
    }
    const lost = run.recovered.filter((sentence) => sentence.includes(`streams/${node}.`));
    yield { faults: lost.map((what) => ({ time: newest, what: `${run.directory}: ${what}` })) };
  } finally {
    for (const { parts } of players) await parts.return(undefined);
  }
}

async function* partsOf(run: RecordedRun, stream: string): AsyncGenerator<Part, undefined> {
  let promised = BEGIN_OF_TIME;
  for (const { epoch, schema } of run.streams.find((recorded) => recorded.stream === stream)?.epochs ?? []) {
    yield { schema, promised };
    const { fields } = schema;
    let held: Columns[] = [];
    for await (const { columns, watermark } of run.read(stream, { epoch, heartbeats: true })) {
      if (watermark > promised) promised = watermark;
      const ready: Columns[] = [];
      const later: Columns[] = [];
      for (const piece of [...held, columns]) {
        const { length } = piece.time;
        const end = firstAtOrAfter(piece.time, promised);
        if (end > 0) ready.push(slice(piece, fields, 0, end));
        if (end < length) later.push(slice(piece, fields, end, length));
      }
      held = later;
      yield { promised, ...(ready.length > 0 && { columns: concat(ready, fields) }) };
    }
    if (held.length > 0) yield { promised, columns: concat(held, fields) };
  }
  return undefined;
}

/** What the runtime reported of the source, in the order of time. */
async function faultsOf(run: RecordedRun, node: string): Promise<Fault[]> {
  const stream = `${node}.faults`;
  if (!run.streams.some((recorded) => recorded.stream === stream)) return [];
  const faults: Fault[] = [];
  for await (const { columns } of run.read(stream)) {
    const [what, count] = [columns["what"] as readonly string[], columns["count"] as Int32Array];
    columns.time.forEach((time, i) => faults.push({ time, what: what[i]!, count: count[i]! }));
  }
  return faults.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}
