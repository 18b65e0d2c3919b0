/**
 * A stand-in for the client library: a made-up cell whose every value is a formula of time, so that any span can
 * be asked for and two runs are alike. Time moves by `advance` alone.
 */
import type { ChangeableNode } from "../../runtime/wire/protocol.ts";
import type {
  Answer,
  Client,
  Connection,
  Frame,
  Ms,
  Request,
  StreamEntry,
  StreamHealth,
  Subscription,
} from "../../ui/client/types.ts";
import { code, curve, image, scalar, type Fields, type Schema } from "../../runtime/wire/schema.ts";
import { AFM_PIPELINE, afmStreams } from "./fake-afm.ts";
import { echemStreams } from "./fake-echem.ts";
import { tomographyStreams } from "./fake-tomography.ts";

export const START: Ms = Date.UTC(2026, 10, 22, 10, 15, 0);
const MINUTE = 60_000;
/** Half a cycle. */
const HALF: Ms = 50 * MINUTE;

export interface Made {
  readonly stream: string;
  readonly interval: Ms;
  readonly schema: Schema;
  readonly derived: boolean;
  readonly value: (column: string, time: Ms) => number;
  readonly rows?: (column: string, time: Ms, slice?: number) => Float32Array | Float64Array;
  readonly text?: (column: string, time: Ms) => string;
  /** Of a stream with several rows of one time: the slice of each. */
  readonly slices?: readonly number[];
  /** No rows from … to. */
  readonly silent?: readonly [Ms, Ms];
  /** Time of its first row after the start; default 0. */
  readonly offset?: Ms;
  /** No row at this time. */
  readonly absent?: (time: Ms) => boolean;
}

/** Noise that depends on the time alone, about -1 to 1. */
function noise(time: Ms, salt = 0): number {
  let h = (Math.floor(time) ^ (salt * 0x9e3779b9)) | 0;
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 31 - 1;
}

const phase = (time: Ms) => (((time - START) % (2 * HALF)) + 2 * HALF) % (2 * HALF);
const charging = (time: Ms) => phase(time) < HALF;
const soc = (time: Ms) => {
  const p = phase(time) / HALF;
  return 0.1 + 0.8 * (p < 1 ? p : 2 - p);
};
const resting = (time: Ms) => phase(time) % HALF > 0.93 * HALF;
const modulus_Pa = (time: Ms) => 1.1e9 + 6e8 * soc(time);

const schema = (fields: Fields, metadata: Record<string, string> = {}): Schema => ({ fields, metadata });
const SLICE = 192;
const MAP = 64;

function streams(onset: Ms): Made[] {
  return [
    {
      stream: "cycler.echem", interval: 1000, derived: false,
      schema: schema({
        test_time_second: scalar("s"), voltage_volt: scalar("V"), current_ampere: scalar("A"), cycle_count: scalar("1"),
      }),
      silent: [START + 143 * MINUTE, START + 146 * MINUTE],
      value(column, time) {
        if (column === "test_time_second") return (time - START) / 1000;
        if (column === "cycle_count") return 1 + Math.floor((time - START) / (2 * HALF));
        const current = resting(time) ? 0 : charging(time) ? 1.25e-3 : -1.25e-3;
        if (column === "current_ampere") return current + 2e-6 * noise(time, 1);
        const s = soc(time);
        return 3.4 + 0.5 * s + 0.12 * Math.tanh((s - 0.5) * 8) + current * 60 + 0.0015 * noise(time, 2);
      },
    },
    {
      stream: "steps.steps", interval: 10_000, derived: true,
      schema: schema({ state: code({ codes: { 0: "rest", 1: "charge", 2: "discharge" } }), step_count: scalar("1") }),
      value: (column, time) =>
        column === "state" ? (resting(time) ? 0 : charging(time) ? 1 : 2) : 1 + Math.floor((time - START) / HALF) * 2 + Number(resting(time)),
    },
    {
      stream: "gauge.stack", interval: 500, derived: false,
      schema: schema({ thickness: scalar("um"), force: scalar("N"), pressure: scalar("Pa", { quantity: "pressure" }) }),
      value: (column, time) =>
        column === "thickness"
          ? 62 + 3.1 * soc(time) + 0.05 * noise(time, 3) + (time > onset ? (time - onset) / 6e5 : 0)
          : column === "force"
            ? 21 + 4 * soc(time) + 0.06 * noise(time, 4)
            : 101_300 + 40 * noise(time, 5) + (time > onset ? (time - onset) / 1000 : 0),
    },
    {
      stream: "gas.fraction", interval: 4000, derived: true,
      schema: schema({ gas_fraction: scalar("%", { uncertainty: "gas_fraction_se" }), gas_fraction_se: scalar("%") }),
      value: (column, time) => (column === "gas_fraction" ? 0.4 + (time > onset ? (time - onset) / 4e5 : 0) + 0.05 * noise(time, 6) : 0.08),
    },
    {
      stream: "rolling.modulus", interval: 64_000, derived: true,
      schema: schema({ modulus: scalar("Pa", { uncertainty: "modulus_se" }), modulus_se: scalar("Pa"), modulus_low: scalar("Pa"), modulus_high: scalar("Pa") }),
      value: (column, time) =>
        column === "modulus" ? modulus_Pa(time) + 1e7 * noise(time, 7)
        : column === "modulus_se" ? 2.1e7
        : modulus_Pa(time) + (column === "modulus_low" ? -1.9e8 : 2.2e8),
    },
    {
      stream: "onset.gas", interval: 4000, derived: true,
      schema: schema({ level: code({ codes: { 0: "clear", 1: "watch", 2: "alarm" } }), value: scalar("1", { long_name: "score" }), limit: scalar("1") }),
      value(column, time) {
        const value = Math.max(0, (time - onset) / 1e5) + 0.15 * (1 + noise(time, 8));
        if (column === "level") return value > 5 ? 2 : value > 2.5 ? 1 : 0;
        return column === "value" ? value : 5;
      },
    },
    {
      stream: "slices.slices", interval: 3000, derived: true,
      schema: schema({ data: image("1/{px}", { shape: [SLICE, SLICE] }) }, { pixel_size_x: "6.5e-7", pixel_size_y: "6.5e-7" }),
      value: () => NaN,
      rows: (_, time) => slice(time, onset),
    },
    {
      stream: "afm.topography", interval: 64_000, derived: false,
      schema: schema({ data: image("m", { shape: [MAP, MAP] }) }, { pixel_size_x: "1.5625e-8", pixel_size_y: "1.5625e-8" }),
      value: () => NaN,
      rows: (_, time) => relief(time),
    },
    {
      stream: "map.modulus", interval: 64_000, derived: true,
      schema: schema({ data: image("Pa", { shape: [MAP, MAP] }) }, { pixel_size_x: "1.5625e-8", pixel_size_y: "1.5625e-8" }),
      value: () => NaN,
      rows: (_, time) => relief(time).map((z, i) => (noise(i, 12) > 0.985 ? NaN : modulus_Pa(time) * Math.exp(z / 4e-9))),
    },
    {
      stream: "xrm.frames", interval: 200, derived: false,
      schema: schema({ data: image("{count}", { shape: [64, 64], type: "u16" }), rotation_angle: scalar("deg"), image_key: code() }),
      value: (column, time) => (column === "rotation_angle" ? ((time - START) / 200) % 360 : 0),
      rows: () => new Float32Array(64 * 64).fill(1000),
    },
    {
      stream: "modulus.fits", interval: 4000, derived: true,
      schema: schema({ indentation: curve("m"), force: curve("N"), fit: curve("N") }),
      value: () => NaN,
      rows: hertz,
    },
    {
      stream: "cell.truth", interval: 1000, derived: false,
      schema: schema({ modulus: scalar("Pa"), gas: scalar("1") }),
      value: (_, time) => modulus_Pa(time),
    },
  ]; // prettier-ignore
}

function slice(time: Ms, onset: Ms): Float32Array {
  const data = new Float32Array(SLICE * SLICE);
  const layer = 0.03 * soc(time);
  const bubbles = time > onset ? Math.min(6, 1 + (time - onset) / 2e5) : 0;
  for (let row = 0; row < SLICE; row++) {
    for (let col = 0; col < SLICE; col++) {
      const [x, y] = [(col / SLICE) * 2 - 1, (row / SLICE) * 2 - 1];
      const r = Math.hypot(x, y);
      let value = r > 0.95 ? 0 : r > 0.88 ? 0.032 : 0.008;
      if (r < 0.88) {
        if (Math.abs(y + 0.28) < 0.14 + layer)
          value = 0.021 + 0.004 * noise((row >> 2) * 977 + (col >> 2), 9);
        if (Math.abs(y - 0.3) < 0.1) value = 0.026 + 0.002 * noise((row >> 1) * 613 + (col >> 1), 10);
        for (let b = 0; b < bubbles; b++) {
          if (Math.hypot(x + 0.5 - b * 0.22, y - 0.02 - 0.06 * noise(b, 11)) < 0.05 + 0.008 * (bubbles - b))
            value = 0.0005;
        }
      }
      data[row * SLICE + col] = value + 0.0016 * noise(row * SLICE + col + time, 13);
    }
  }
  return data;
}

function relief(time: Ms): Float32Array {
  const data = new Float32Array(MAP * MAP);
  const grow = 1 + 0.4 * soc(time);
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [(i % MAP) / MAP, Math.floor(i / MAP) / MAP];
    data[i] =
      grow *
        5e-9 *
        (Math.sin(9 * x + 2 * y) * Math.cos(7 * y - x) + 0.4 * Math.sin(31 * x) * Math.sin(27 * y)) +
      2e-10 * noise(i + time, 14);
  }
  return data;
}

function hertz(column: string, time: Ms): Float64Array {
  const n = 220 + Math.round(20 * noise(time, 15));
  return Float64Array.from({ length: n }, (_, i) => {
    const depth = -4e-8 + (i / n) * 7e-8;
    if (column === "indentation") return depth;
    const force = depth > 0 ? (4 / 3) * (modulus_Pa(time) / 0.91) * Math.sqrt(1e-8) * depth ** 1.5 : 0;
    return column === "fit" ? (depth > -1e-8 ? force : NaN) : force + 4e-10 * noise(i * 31 + time, 16);
  });
}

interface Open {
  request: Request;
  receive: (frame: Frame) => void;
  /** Of traces: width of a bucket, and the first bucket not yet closed. */
  width: Ms;
  next: number;
  /** Of rows: the last one sent. */
  row: number;
}

export interface FakeOptions {
  /** Time before now that is there already. */
  readonly history?: Ms;
  /** When gas begins; default never. */
  readonly onset?: Ms;
  /** A scan that turns beside the cell. */
  readonly tomography?: boolean;
  /** A force microscope that maps beside the cell, in place of the one that there is. */
  readonly afm?: boolean;
  /** A cell that is cycled, in place of the one that there is; alone, or beside its other instruments. */
  readonly echem?: "alone" | "beside" | undefined;
  /** Streams that there are; default all. */
  readonly only?: readonly string[];
}

export class FakeClient implements Client {
  connection: Connection = { state: "open", mode: "simulated", speed: 60, latency_ms: 4 };
  catalogue: ReadonlyMap<string, StreamEntry> = new Map();
  health: readonly StreamHealth[] = [];
  readonly manifest = {
    name: "li-symmetric",
    directory: "runs/2026-11-22T10-15-00_li-symmetric",
    experiment: { cell: "cell 7" },
    pipeline: { alarms: { gas: { when: "onset.gas" } }, operators: {} as Record<string, { from: string }> },
  };
  now: Ms;
  /** Requests so far, for tests. */
  readonly asked: Request[] = [];
  readonly #made: readonly Made[];
  readonly #open = new Set<Open>();
  readonly #listeners = new Set<() => void>();

  constructor({
    history = 200 * MINUTE,
    onset = Infinity,
    tomography = false,
    afm = false,
    echem,
    only,
  }: FakeOptions = {}) {
    this.now = START + history;
    const own = streams(onset).filter(({ stream }) => !afm || !/^(afm|map|modulus|rolling)\./.test(stream));
    const more = [...(tomography ? tomographyStreams(START) : []), ...(afm ? afmStreams(START) : [])];
    if (echem) {
      if (echem === "alone") own.length = 0;
      const cycler = own.findIndex(({ stream }) => stream === "cycler.echem");
      if (cycler >= 0) own.splice(cycler, 1);
      more.push(...echemStreams(START));
    }
    this.#made = [...own, ...more].filter(({ stream }) => !only || only.includes(stream));
    if (afm) Object.assign(this.manifest.pipeline, { operators: AFM_PIPELINE });
    this.#list();
  }

  nodes: readonly ChangeableNode[] = [];
  /** What was asked to be changed, for tests; answered by what `answer` makes of it. */
  readonly acts: { readonly node: string; readonly changes: Readonly<Record<string, unknown>> }[] = [];
  answer: (changes: Readonly<Record<string, unknown>>) => Answer = () => ({ time: this.now });

  act(node: string, changes: Readonly<Record<string, unknown>>): Promise<Answer> {
    this.acts.push({ node, changes });
    return Promise.resolve(this.answer(changes));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Lets so much event time pass: each open subscription gets what is new. */
  advance(ms: Ms): void {
    this.now += ms;
    this.#list();
    if (this.connection.state === "open") {
      for (const open of this.#open) this.#send(open, false);
    }
    this.#changed();
  }

  connect(connection: Connection): void {
    this.connection = connection;
    this.#changed();
  }

  subscribe(request: Request, receive: (frame: Frame) => void): Subscription {
    const open: Open = { request, receive, width: 0, next: 0, row: -1 };
    const begin = () => {
      this.asked.push(open.request);
      // Answers come later, as from a server.
      queueMicrotask(() => void (this.#open.has(open) && this.#send(open, true)));
    };
    this.#open.add(open);
    begin();
    return {
      change: (next) => {
        open.request = next;
        begin();
      },
      close: () => void this.#open.delete(open),
    };
  }

  /** How many are open. */
  get subscriptions(): number {
    return this.#open.size;
  }

  close(): void {
    this.#open.clear();
    this.#listeners.clear();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #last = (made: Made): number => Math.floor((this.now - timeOf(made, 0)) / made.interval);

  #list(): void {
    this.catalogue = new Map(
      this.#made.map((made) => [
        made.stream,
        {
          stream: made.stream, epoch: 0, schema: made.schema, state: "active", derived: made.derived, provisional: false,
          rows: this.#last(made) + 1, firstTime: timeOf(made, 0), lastTime: timeOf(made, this.#last(made)), watermark: this.now,
        },
      ]),
    ); // prettier-ignore
    this.health = this.#made.map(({ stream, interval }) => ({
      stream, rate_per_s: 60_000 / interval, lag_s: interval / 1000, gaps: stream === "cycler.echem" ? 1 : 0, drops: 0, spills: 0, late: 0, state: "active",
    })); // prettier-ignore
  }

  #send(open: Open, first: boolean): void {
    const made = this.#made.find(({ stream }) => stream === open.request.stream);
    if (!made) return;
    if (open.request.maxPoints === undefined) this.#sendRows(made, open, first);
    else this.#sendTrace(made, open, first);
  }

  #span({ from, to }: Request): [Ms, Ms] {
    const end = to === "live" ? this.now : Math.min(to, this.now);
    return [Math.max(START, from < 0 ? this.now + from : from), end];
  }

  #sendTrace(made: Made, open: Open, first: boolean): void {
    const { request } = open;
    if (!first && request.to !== "live") return;
    const [from, to] = this.#span(request);
    const { from: asked } = request;
    if (first) {
      open.width = Math.max(
        1,
        ((request.to === "live" && asked < 0 ? -asked : to - from) || 1) / (request.maxPoints! - 1),
      );
      open.next = Math.floor(from / open.width);
    }
    const end = Math.floor(to / open.width) + 1;
    const n = Math.max(0, end - open.next);
    const time = Float64Array.from({ length: n }, (_, i) => (open.next + i + 0.5) * open.width);
    const columns: Record<string, { min: Float64Array; max: Float64Array; count: Uint32Array }> = {};
    for (const column of request.columns ?? Object.keys(made.schema.fields)) {
      const [min, max, count] = [
        new Float64Array(n).fill(NaN),
        new Float64Array(n).fill(NaN),
        new Uint32Array(n),
      ];
      for (let i = 0; i < n; i++) {
        const begin = (open.next + i) * open.width;
        const origin = timeOf(made, 0);
        const a = Math.ceil((Math.max(begin, origin) - origin) / made.interval);
        const b = Math.ceil(
          (Math.min((open.next + i + 1) * open.width, this.now + 1) - origin) / made.interval,
        );
        const stride = Math.max(1, Math.floor((b - a) / 20)); // 20 rows of a bucket stand for all
        for (let row = a; row < b; row += stride) {
          const t = timeOf(made, row);
          if (made.silent && t >= made.silent[0] && t < made.silent[1]) continue;
          const value = made.value(column, t);
          if (count[i] === 0 || value < min[i]!) min[i] = value;
          if (count[i] === 0 || value > max[i]!) max[i] = value;
          count[i]! += stride;
        }
      }
      columns[column] = { min, max, count };
    }
    open.next = end - 1; // the last bucket is still open, and is sent again
    open.receive({ kind: "trace", time, columns, reset: first, dropped: 0 });
  }

  #sendRows(made: Made, open: Open, first: boolean): void {
    const { request } = open;
    if (!first && request.to !== "live") return;
    const [from, to] = this.#span(request);
    const slices = made.slices ?? [undefined];
    // `to` itself is left out of what has an end.
    const end = request.to === "live" ? to : to - 1e-6;
    const last = Math.floor((end - timeOf(made, 0)) / made.interval);
    const earliest = Math.max(0, Math.ceil((from - timeOf(made, 0)) / made.interval));
    const begin = request.lossless ? (first ? earliest : open.row + 1) : last;
    if (last >= begin && last >= 0 && (first || last > open.row)) {
      open.row = last;
      this.#giveRows(made, open, begin, last, slices);
    }
    if (request.to !== "live" && this.now >= request.to) open.receive({ kind: "done" });
  }

  #giveRows(made: Made, { request, receive }: Open, begin: number, last: number, slices: readonly (number | undefined)[]): void {
    const rows = Array.from({ length: last - begin + 1 }, (_, i) => timeOf(made, begin + i))
      .filter((time) => !made.absent?.(time))
      .flatMap((time) => slices.map((slice) => ({ time, slice })));
    const sent = request.lossless ? rows : rows.slice(-1);
    if (sent.length === 0) return;
    const time = Float64Array.from(sent, (row) => row.time);
    const columns: Record<string, unknown> = {};
    for (const name of request.columns ?? Object.keys(made.schema.fields)) {
      const field = made.schema.fields[name]!;
      if (field.kind === "image") {
        const images = sent.map((row) => made.rows!(name, row.time, row.slice));
        const all = new Float32Array(images.reduce((n, one) => n + one.length, 0));
        images.forEach((one, i) => all.set(one, i * one.length));
        columns[name] = all;
      } else if (field.kind === "curve") {
        const lists = sent.map((row) => [...made.rows!(name, row.time)]);
        const offsets = Int32Array.of(0, ...lists.map((_, i) => lists.slice(0, i + 1).flat().length));
        columns[name] = { values: Float64Array.from(lists.flat()), offsets };
      } else if (field.kind === "label") columns[name] = sent.map((row) => made.text!(name, row.time));
      else if (name === "slice") columns[name] = Int32Array.from(sent, (row) => row.slice!);
      else columns[name] = time.map((t) => made.value(name, t));
    }
    receive({ kind: "rows", epoch: 0, row: begin, time, schema: made.schema, columns, dropped: 0 });
  } // prettier-ignore
}

const timeOf = ({ interval, offset = 0 }: Made, row: number): Ms => START + offset + row * interval;
