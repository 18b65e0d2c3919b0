/**
 * V against Q of half cycles, out of a stream of records: which half cycle ran when, from one coarse view of the whole
 * run; the half cycles that are wanted each in some hundred buckets of its own; the running one as it grows.
 *
 * A bucket holds least and greatest of V and of Q. Both run one way within a half cycle, so its two corners along that
 * way are two points of the curve.
 */
import { CAPACITY_COLUMNS } from "./cycle-panels.ts";
import type { Client, Ms, Subscription } from "./client/types.ts";
import { TraceBuffer } from "./trace-buffer.ts";

/** Buckets of the coarse view: a half cycle is found to within one. */
const COARSE = 4096;
/** Buckets of one half cycle; while it grows there are half as many at times. */
export const FINE = 400;
/** Half cycles kept, the longest unused leaving first. */
const KEPT = 32;

export interface HalfCurve {
  readonly half: number;
  readonly cycle: number;
  /** It charges. */
  readonly charging: boolean;
  readonly time: Float64Array;
  readonly capacity_Ah: Float64Array;
  readonly voltage_V: Float64Array;
  /** Greatest charge in its direction. */
  readonly most_Ah: number;
}

/** In which stretch of time a half cycle lies. */
interface Stretch {
  from: Ms;
  to: Ms;
}

interface Asked {
  readonly subscription: Subscription;
  curve: HalfCurve | undefined;
  answered: boolean;
}

const HALF = CAPACITY_COLUMNS[3];

export interface HalfCyclesOptions {
  readonly client: Pick<Client, "subscribe">;
  readonly stream: string;
  /** First time of the stream. */
  readonly first: Ms;
  readonly onData: (newest: Ms) => void;
}

export class HalfCycles {
  readonly #options: HalfCyclesOptions;
  readonly #coarse = new TraceBuffer(2 * COARSE);
  readonly #index: Subscription;
  #answered = false;
  #stretches: Stretch[] = [];
  /** Number of the first in the list. */
  #least = 0;
  readonly #asked = new Map<number, Asked>();
  #running: (Asked & { readonly half: number }) | undefined;
  /** As it was seen, of the one that ran before. */
  #ended: HalfCurve | undefined;

  constructor(options: HalfCyclesOptions) {
    this.#options = options;
    const { client, stream, first } = options;
    const request = { stream, columns: [HALF], from: first, to: "live", maxPoints: COARSE } as const;
    this.#index = client.subscribe(request, (frame) => {
      if (frame.kind !== "trace") return;
      this.#coarse.push(frame);
      this.#answered = true;
      this.#find();
      options.onData(frame.lastTime ?? NaN);
    });
  }

  close(): void {
    this.#index.close();
    this.#running?.subscription.close();
    this.#running = undefined;
    for (const { subscription } of this.#asked.values()) subscription.close();
    this.#asked.clear();
  }

  /** Nothing has been answered yet, or not that of the newest half cycle. */
  get asking(): boolean {
    return !this.#answered || (this.#running !== undefined && !this.#running.answered);
  }

  /** Number of the newest half cycle; -1 before the first. */
  get newest(): number {
    return this.#least + this.#stretches.length - 1;
  }

  /** Number of the first that there is; -1 before it. */
  get first(): number {
    return this.#stretches.length > 0 ? this.#least : -1;
  }

  /** The half cycle that ran at a moment; -1 before the first. */
  at(moment: Ms | undefined): number {
    if (moment === undefined) return this.newest;
    const found = this.#stretches.findLastIndex(({ from }) => from <= moment);
    return found < 0 ? -1 : this.#least + found;
  }

  /** What is known of a half cycle by now; asks for it. */
  curve(half: number): HalfCurve | undefined {
    const stretch = this.#stretches[half - this.#least];
    if (!stretch) return undefined;
    if (half === this.newest) return this.#follow(half, stretch);
    const asked = this.#asked.get(half) ?? this.#ask(half, stretch);
    this.#asked.delete(half);
    this.#asked.set(half, asked); // used last
    return asked.curve;
  }

  #find(): void {
    const { time, length } = this.#coarse;
    const column = this.#coarse.columns.get(HALF);
    if (!column) return;
    const found = new Map<number, Stretch>();
    const width = length > 1 ? time[1]! - time[0]! : 1;
    for (let i = 0; i < length; i++) {
      if (column.count[i] === 0) continue;
      const [low, high] = [Math.max(0, column.min[i]!), column.max[i]!];
      for (let half = low; half <= high; half++) {
        const stretch = found.get(half);
        if (stretch) stretch.to = time[i]! + width / 2;
        else found.set(half, { from: time[i]! - width / 2, to: time[i]! + width / 2 });
      }
    }
    const [least] = found.keys();
    this.#least = least ?? 0;
    this.#stretches = [...found.values()];
  }

  #ask(half: number, { from, to }: Stretch): Asked {
    const buffer = new TraceBuffer(2 * FINE);
    const { client, stream, onData } = this.#options;
    const request = { stream, columns: CAPACITY_COLUMNS, from, to, maxPoints: FINE };
    const subscription = client.subscribe(request, (frame) => {
      if (frame.kind !== "trace") return;
      buffer.push(frame);
      asked.curve = curveOf(buffer, half);
      asked.answered = true;
      onData(NaN);
    });
    const asked: Asked = { subscription, curve: undefined, answered: false };
    for (const [other, { subscription: old }] of this.#asked) {
      if (this.#asked.size < KEPT) break;
      old.close();
      this.#asked.delete(other);
    }
    // What was seen of it as it ran stands until the answer comes.
    asked.curve = [this.#running?.curve, this.#ended].find((curve) => curve?.half === half);
    this.#asked.set(half, asked);
    return asked;
  }

  #follow(half: number, { from }: Stretch): HalfCurve | undefined {
    if (this.#running?.half === half) return this.#running.curve;
    this.#running?.subscription.close();
    this.#ended = this.#running?.curve;
    const buffer = new TraceBuffer(4 * FINE);
    const { client, stream, onData } = this.#options;
    const request = { stream, columns: CAPACITY_COLUMNS, from, to: "live", maxPoints: 2 * FINE } as const;
    const subscription = client.subscribe(request, (frame) => {
      if (frame.kind !== "trace") return;
      buffer.push(frame);
      running.curve = curveOf(buffer, half);
      running.answered = true;
      onData(frame.lastTime ?? NaN);
    });
    const running: Asked & { readonly half: number } = {
      half,
      subscription,
      curve: undefined,
      answered: false,
    };
    this.#running = running;
    return undefined;
  }
}

/** Of the buckets that hold records of one half cycle alone, charge or discharge going on in them. */
export function curveOf(buffer: TraceBuffer, half: number): HalfCurve | undefined {
  const [v, q, cycle, index, kind] = CAPACITY_COLUMNS.map((name) => buffer.columns.get(name));
  if (!v || !q || !cycle || !index || !kind) return undefined;
  const [time, capacity, voltage]: number[][] = [[], [], []];
  let charging: boolean | undefined;
  let number = -1;
  let most = -Infinity;
  for (let i = 0; i < buffer.length; i++) {
    if (index.count[i] === 0) continue;
    const pure = index.min[i] === half && index.max[i] === half;
    // Charge begins at nought again: the greatest of a bucket with its end is still its own.
    const end = index.min[i] === half && index.max[i] === half + 1;
    if ((pure || end) && q.max[i]! > most) most = q.max[i]!;
    // Rest, or what comes before or after it: V runs on where Q stands.
    if (!pure || !(kind.min[i]! > 0) || v.count[i] === 0 || q.count[i] === 0) continue;
    charging ??= kind.max[i] === 1 || kind.max[i] === 3;
    number = cycle.max[i]!;
    const up = charging;
    time!.push(buffer.time[i]!);
    capacity!.push(q.min[i]!);
    voltage!.push(up ? v.min[i]! : v.max[i]!);
    if (q.max[i] === q.min[i] && v.max[i] === v.min[i]) continue;
    time!.push(buffer.time[i]!);
    capacity!.push(q.max[i]!);
    voltage!.push(up ? v.max[i]! : v.min[i]!);
  }
  if (charging === undefined) return undefined;
  return {
    half, cycle: number, charging, most_Ah: most,
    time: Float64Array.from(time!), capacity_Ah: Float64Array.from(capacity!), voltage_V: Float64Array.from(voltage!),
  }; // prettier-ignore
}
