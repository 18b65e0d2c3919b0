import type { Column, Columns, Fault, Field, ListColumn, Schema } from "../../runtime/index.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

type Value = number | Float32Array | Float64Array | Uint8Array | Uint16Array;
export type Row = Readonly<Record<string, Value>>;

/** How one instrument works: its cadence, how its rows travel, and what it sees. */
export interface InstrumentPlan {
  readonly port: string;
  readonly schema: Schema;
  readonly interval_s: number;
  /** Rows leave the instrument in blocks of this many, and arrive so much later. */
  readonly block: number;
  readonly latency_s: number;
  /** Share of rows that are lost on the way, from a stream of its own. */
  readonly loss: (world: World) => number;
  readonly lossRandom: Random;
  /** By how much its clock is ahead of the world's. */
  readonly clockOffset_s: (world: World) => number;
  /** Number k, from 0, of what it records; called at the end of the exposure. */
  readonly record: (world: World, k: number) => Row;
  /** Called at every step of the world, by an instrument that scans while time goes on. */
  readonly watch?: (world: World) => void;
}

/** Losses are reported together, at most one fault in this time. */
const REPORT_EVERY_s = 60;

/** Runs a plan: keeps its clock and its queue, loses rows, and promises when the next can come. */
export class Instrument {
  readonly plan: InstrumentPlan;
  readonly #start: bigint;
  #next = 0;
  #last = -(2n ** 63n);
  #offset_s = 0;
  #lost = 0;
  #lostSince_s = 0;
  readonly #queue: { readonly time: bigint; readonly arrives_s: number; readonly row: Row }[] = [];

  constructor(plan: InstrumentPlan, start: bigint) {
    this.plan = plan;
    this.#start = start;
  }

  observe(world: World): void {
    const { plan } = this;
    plan.watch?.(world);
    this.#offset_s = plan.clockOffset_s(world);
    // A world's step ends at a multiple of itself only to within rounding.
    for (; (this.#next + 1) * plan.interval_s <= world.time_s + 1e-6; this.#next++) {
      const k = this.#next;
      const row = plan.record(world, k);
      if (plan.lossRandom.uniform() < plan.loss(world)) {
        if (this.#lost++ === 0) this.#lostSince_s = world.time_s;
        continue;
      }
      const time = this.#timeOf(k, 0);
      this.#last = time;
      const blockEnd_s = (Math.floor(k / plan.block) + 1) * plan.block * plan.interval_s;
      this.#queue.push({ time, arrives_s: blockEnd_s + plan.latency_s, row });
    }
  }

  #timeOf(k: number, margin_s: number): bigint {
    const seconds = (k + 1) * this.plan.interval_s + this.#offset_s - margin_s;
    const time = this.#start + BigInt(Math.round(seconds * 1e9));
    return time > this.#last ? time : this.#last + 1n;
  }

  /** ns: no row before it can still come. */
  get promise(): bigint {
    // Until its next row a slow clock may lose some more.
    return this.#queue[0]?.time ?? this.#timeOf(this.#next, 1e-4 * this.plan.interval_s);
  }

  /** Rows that have arrived by now. */
  take(now_s: number): Columns | undefined {
    let n = 0;
    while (n < this.#queue.length && this.#queue[n]!.arrives_s <= now_s) n++;
    if (n === 0) return undefined;
    const taken = this.#queue.splice(0, n);
    const columns: Record<string, Column> = { time: BigInt64Array.from(taken, ({ time }) => time) };
    for (const [name, field] of Object.entries(this.plan.schema.fields)) {
      columns[name] = columnOf(field, taken.map(({ row }) => row[name]!)); // prettier-ignore
    }
    return columns as Columns;
  }

  /** What was lost since the last report, when a report is due. */
  takeFault(now_s: number): Fault | undefined {
    if (this.#lost === 0 || now_s < this.#lostSince_s + REPORT_EVERY_s) return undefined;
    const count = this.#lost;
    this.#lost = 0;
    const what = `${this.plan.port}: ${count} ${count === 1 ? "row was" : "rows were"} lost on the way from the instrument; nothing takes their place`;
    return { time: this.#start + BigInt(Math.round(this.#lostSince_s * 1e9)), what, count };
  }
}

const ARRAYS = {
  f64: Float64Array,
  f32: Float32Array,
  u8: Uint8Array,
  u16: Uint16Array,
  i32: Int32Array,
} as const;

function columnOf(field: Field, values: Value[]): Column {
  const array = ARRAYS[field.type as keyof typeof ARRAYS];
  if (field.kind !== "image" && field.kind !== "curve") return array.from(values as number[]);
  const parts = values as Float32Array[];
  const joined = new array(parts.reduce((sum, part) => sum + part.length, 0));
  const offsets = new Int32Array(parts.length + 1);
  parts.forEach((part, i) => {
    joined.set(part, offsets[i]);
    offsets[i + 1] = offsets[i]! + part.length;
  });
  return field.kind === "image" ? joined : ({ values: joined, offsets } satisfies ListColumn);
}
