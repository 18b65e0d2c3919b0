/**
 * Rows per second through five operators, each of which reads or rewrites one of nine float64 columns, with
 * watermarks, row numbers, credit and counters on. Baseline: the same arithmetic on the same columns through bare
 * RxJS `map`, in the same process.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { map, Subject } from "rxjs";
import {
  defineOperator,
  defineSource,
  integer,
  Run,
  scalar,
  wire,
  type Columns,
  type Fields,
  type SourceItem,
} from "../runtime/index.ts";
import { createRecorder, type Recorder } from "../runtime/journal/index.ts";
import type { Measured } from "./measure.ts";
import { measured } from "./measure.ts";

const NAMES = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"] as const;
const fields = Object.fromEntries(NAMES.map((name) => [name, scalar("1")])) as Fields;

type C = Readonly<Record<string, Float64Array>>;

/** What each operator does: one new column from two. */
function column(
  a: Float64Array,
  b: Float64Array,
  of: (a: Float64Array, b: Float64Array, out: Float64Array) => void,
): Float64Array {
  const out = new Float64Array(a.length);
  of(a, b, out);
  return out;
}
const WORK: ((c: C) => C)[] = [
  ({ c0, c1 }) => ({ c0: column(c0!, c1!, (a, b, out) => { for (let i = 0; i < out.length; i++) out[i] = a[i]! * b[i]!; }) }),
  ({ c2 }) => ({ c1: column(c2!, c2!, (a, _, out) => { for (let i = 0; i < out.length; i++) out[i] = a[i]! * 1.0001 + 0.5; }) }),
  ({ c0, c2 }) => ({ c2: column(c0!, c2!, (a, b, out) => { for (let i = 0; i < out.length; i++) out[i] = a[i]! - b[i]!; }) }),
  ({ c3 }) => ({ c3: column(c3!, c3!, (a, _, out) => { for (let i = 0; i < out.length; i++) out[i] = 0.9 * a[i]! + 0.1; }) }),
  ({ c1, c3 }) => ({ c4: column(c1!, c3!, (a, b, out) => { for (let i = 0; i < out.length; i++) out[i] = a[i]! > b[i]! ? a[i]! : b[i]!; }) }),
]; // prettier-ignore

const operators = WORK.map((work, n) =>
  defineOperator({
    name: `bench/work-${n}`,
    input: { rows: fields },
    output: { rows: fields },
    config: {},
    start: () => ({
      step({ rows }, out) {
        if (rows.length === 0) return;
        out.rows.put({ ...rows.columns, ...work(rows.columns as unknown as C) } as never);
      },
    }),
  }),
);

const source = defineSource({
  name: "bench/rows",
  output: { rows: fields },
  config: { batch: integer(1024), batches: integer(1000) },
  async *open({ batch, batches }) {
    const values = Object.fromEntries(
      NAMES.map((name, k) => [name, Float64Array.from({ length: batch }, (_, i) => i * 0.001 + k)]),
    );
    yield { schema: { rows: { fields, metadata: {} } } } satisfies SourceItem;
    // Made before the clock runs: the instrument's work is not the graph's.
    for (const time of times.get(batch * batches)!) yield { rows: { rows: { time, ...values } as Columns } };
  },
});

/** Times 1 µs apart, cut into batches, by their number. */
const times = new Map<number, BigInt64Array[]>();

function prepare(batch: number, batches: number): void {
  const all = BigInt64Array.from({ length: batch }, (_, i) => BigInt(i) * 1000n);
  const step = BigInt(batch) * 1000n;
  times.set(
    batch * batches,
    Array.from({ length: batches }, (_, n) => all.map((time) => time + BigInt(n) * step)),
  );
}

function graph(batch: number, batches: number, recorder?: Recorder): { run: Run; rows: () => number } {
  const { plan } = wire(
    {
      run: { name: "bench", directory: "runs" },
      experiment: {},
      sources: { s: { use: source.name, with: { batch, batches } } },
      operators: Object.fromEntries(
        operators.map((operator, n) => [
          `o${n}`,
          { use: operator.name, from: n === 0 ? "s.rows" : `o${n - 1}.rows`, with: {} },
        ]),
      ),
      alarms: {},
      sinks: {},
    },
    { sources: [source], operators, sinks: [] },
  );
  const run = new Run({ plan: plan!, mode: { kind: "live", speed: Infinity }, origin: 0n, recorder });
  let rows = 0;
  run.stream("o4.rows").appended$.subscribe(({ columns }) => (rows += columns.time.length));
  if (!times.has(batch * batches)) prepare(batch, batches);
  return { run, rows: () => rows };
}

async function throughGraph(batch: number, batches: number): Promise<number> {
  const { run, rows } = graph(batch, batches);
  const before = process.cpuUsage();
  await run.start();
  const { user, system } = process.cpuUsage(before);
  if (rows() !== batch * batches) throw new Error(`${rows()} rows came out of ${batch * batches}`);
  return rows() / ((user + system) / 1e6);
}

/** The same with the recorder on: the source's stream and all five that are derived, until all is flushed. Seconds of the clock. */
async function recorded(batch: number, batches: number): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "operando-bench-"));
  try {
    const recorder = await createRecorder({ directory });
    const { run } = graph(batch, batches, recorder);
    const began = performance.now();
    await run.start();
    await recorder.close();
    return (performance.now() - began) / 1000;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function throughRxjs(batch: number, batches: number): number {
  const columns = Object.fromEntries(
    NAMES.map((name, k) => [name, Float64Array.from({ length: batch }, (_, i) => i * 0.001 + k)]),
  );
  const subject = new Subject<C>();
  let rows = 0;
  const stages = WORK.map((work) => map((c: C) => ({ ...c, ...work(c) })));
  subject
    .pipe(stages[0]!, stages[1]!, stages[2]!, stages[3]!, stages[4]!)
    .subscribe(({ c4 }) => (rows += c4!.length));
  const before = process.cpuUsage();
  for (let n = 0; n < batches; n++) subject.next(columns);
  const { user, system } = process.cpuUsage(before);
  return rows / ((user + system) / 1e6);
}

export async function benchRuntime(): Promise<Measured[]> {
  const results: Measured[] = [];
  for (const [batch, batches, aim] of [
    [64, 20_000, undefined],
    [1024, 4000, 15e6],
    [8192, 800, 25e6],
  ] as const) {
    const graph: number[] = [];
    const bare: number[] = [];
    times.clear();
    await throughGraph(batch, Math.ceil(batches / 4));
    throughRxjs(batch, Math.ceil(batches / 4));
    for (let n = 0; n < 5; n++) {
      graph.push(await throughGraph(batch, batches));
      bare.push(throughRxjs(batch, batches));
    }
    results.push(
      measured(`five operators, ${batch} rows a batch`, "rows/s of one core", graph, { baseline: bare, aim }),
    );
  }
  const [batch, batches] = [1024, 600];
  const seconds: number[] = [];
  for (let n = 0; n < 5; n++) seconds.push(await recorded(batch, batches));
  const recordedBytes = batch * batches * 8 * (1 + NAMES.length) * (1 + operators.length);
  return [
    ...results,
    measured(
      "five operators, all six streams recorded, rows of the source",
      "rows/s",
      seconds.map((s) => (batch * batches) / s),
    ),
    measured(
      "five operators, all six streams recorded, rows written",
      "rows/s",
      seconds.map((s) => (batch * batches * (1 + operators.length)) / s),
      { aim: 2e6 },
    ),
    measured(
      "five operators, all six streams recorded, bytes written",
      "MB/s",
      seconds.map((s) => recordedBytes / 1e6 / s),
      { aim: 150 },
    ),
  ];
}
