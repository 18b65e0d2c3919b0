/**
 * dQ/dV of half cycles against voltage, charge upwards and discharge downwards; or dV/dQ against capacity. The half cycle
 * that is running grows point by point before its curve is whole.
 */
import { html } from "lit";
import type { Client, Ms, RowsFrame, Subscription } from "./client/types.ts";
import type { IncrementalPanel } from "./cycle-panels.ts";
import { FamilyView, type Family, type Member } from "./family-view.ts";
import { keepShape } from "./keep-shape.ts";
import type { Span } from "./plot-frame.ts";
import { HUES } from "./quantities.ts";
import { readableQuantity, readableScale } from "./readable-numbers.ts";
import { listOf, numberOf, RowHistory } from "./row-history.ts";
import { fromStart } from "./stream-start.ts";
import { TraceBuffer } from "./trace-buffer.ts";

const CODES = ["cycle_index", "half_cycle_index", "kind"] as const;
const INCREMENTAL = ["voltage", "dq_dv", "dq_dv_se"] as const;
const DIFFERENTIAL = ["capacity", "dv_dq", "dv_dq_se"] as const;
/** Points of a curve that are drawn. */
const POINTS = 800;
/** Curves behind the newest, and as many from the beginning where they are pinned. */
const GHOSTS = 10;
const PINNED = 2;

interface HalfCycle {
  readonly cycle: number;
  readonly half: number;
  readonly charging: boolean;
  /** Against voltage, and against capacity. */
  readonly incremental: Curve;
  readonly differential: Curve | undefined;
}

interface Curve {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly error: Float64Array;
}

export class OpIncremental extends FamilyView {
  static override properties = {
    ...FamilyView.properties,
    panel: { attribute: false },
    differential: { state: true },
  };
  declare panel: IncrementalPanel;
  /** dV/dQ in place of dQ/dV. */
  declare differential: boolean;

  #history: RowHistory<HalfCycle> | undefined;
  #running: Running | undefined;

  constructor() {
    super();
    this.differential = false;
  }

  protected get heading(): string {
    return this.differential ? "dV/dQ" : this.panel.title;
  }

  protected get stream(): string {
    return this.panel.live ?? this.panel.stream;
  }

  protected override get asking(): boolean {
    return this.#history?.asking ?? true;
  }

  protected override get nothingYet(): string {
    return "no half cycle yet";
  }

  protected override tools() {
    return html`
      ${
        this.panel.differential
          ? html`<button
              aria-pressed=${this.differential}
              aria-label="dV/dQ against capacity"
              title="dV/dQ against capacity, and back"
              @click=${() => (this.differential = !this.differential)}
            >
              dV/dQ
            </button>`
          : ""
      }
      ${this.pinButton("first")}
    `;
  }

  protected feed(): () => void {
    const { client } = this.page;
    const { stream, live, differential } = this.panel;
    const columns = [...CODES, ...INCREMENTAL, ...(differential ? DIFFERENTIAL : [])];
    const ofCurves = fromStart(client, stream, (first) => {
      this.#history = new RowHistory<HalfCycle>({
        client, stream, columns, count: "half_cycle_index", first, wanted: GHOSTS + 1, onData: this.received,
        take: (frame, at) => taken(frame, at, differential),
      }); // prettier-ignore
      return this.#history;
    });
    const ofRunning =
      live === undefined
        ? undefined
        : fromStart(client, live, (first) => {
            this.#running = new Running(client, { stream: live, columns, first, onData: this.received });
            return this.#running;
          });
    return () => {
      ofCurves();
      ofRunning?.();
    };
  }

  protected families(moment: Ms | undefined): Family[] {
    const kept = this.#history?.before(moment) ?? [];
    const halves = kept.map(({ value }) => value);
    const newest = halves.at(-1)?.half ?? -1;
    // Of what goes on after the last whole curve.
    const since = kept.at(-1)?.time;
    const running = this.#running?.after(newest, since, moment);
    const all = running ? [...halves, running].slice(-(this.large ? GHOSTS + 1 : 6)) : halves.slice(this.large ? 0 : -6); // prettier-ignore
    const first = this.pinned ? (this.#history?.first() ?? []).slice(0, PINNED).map(({ value }) => value) : []; // prettier-ignore
    const pinned = new Set(first.map(({ half }) => half));
    const shown = [...first.filter(({ half }) => !all.some((one) => one.half === half)), ...all];
    const members = shown.flatMap((one): Member[] => {
      const curve = this.differential ? one.differential : one.incremental;
      if (!curve || curve.x.length === 0) return [];
      const sign = this.differential || one.charging ? 1 : -1;
      const short = `cycle ${one.cycle}, ${one.charging ? "charge" : "discharge"}${one === running ? ", running" : ""}`;
      return [{
        key: one.half, hue: HUES.charge, age: all.length - 1 - all.indexOf(one), pinned: pinned.has(one.half),
        short, name: `${short}${this.differential ? capacityOf(curve) : peakOf(one)}`,
        x: curve.x, y: sign < 0 ? curve.y.map((y) => -y) : curve.y, error: curve.error,
      }]; // prettier-ignore
    });
    const span = robust(members, !this.differential);
    if (!this.differential) {
      return [
        {
          members, zero: true,
          x: { name: "voltage", unit: "V" },
          y: { name: "dQ/dV, discharge downwards", unit: "A.h/V", ...(span && { span }) },
        },
      ]; // prettier-ignore
    }
    const most = members.reduce((greatest, { x }) => Math.max(greatest, x[x.length - 1] ?? 0), 0);
    const charge = readableScale("A.h", most);
    return [
      {
        members,
        x: { name: "capacity", unit: "A.h" },
        y: {
          name: "dV/dQ", unit: "V/A/h", ...(span && { span }),
          scale: { factor: 1 / charge.factor, unit: `V/${charge.unit}` },
        },
      },
    ]; // prettier-ignore
  }

  protected said([family]: readonly Family[]): string {
    return family?.members.at(-1)?.name ?? "";
  }
}

/** Where dQ/dV is greatest, of a half cycle in which it is known. */
function peakOf({ incremental: { x, y, error } }: HalfCycle): string {
  let best = -1;
  for (let i = 0; i < y.length; i++) {
    if (error[i]! > 0.1 * Math.abs(y[i]!)) continue;
    if (y[i]! > (y[best] ?? -Infinity)) best = i;
  }
  return best < 0 ? "" : `: ${readableQuantity(y[best]!, "A.h/V", 3)} at ${readableQuantity(x[best]!, "V")}`;
}

const capacityOf = ({ x }: Curve): string => `: ${readableQuantity(x[x.length - 1]!, "A.h")}`;

function taken(frame: RowsFrame, at: number, differential: boolean): HalfCycle {
  const curve = (columns: readonly [string, string, string]): Curve => {
    const [x, y, error] = columns.map((name) => listOf(frame, at, name)) as [Float64Array, Float64Array, Float64Array]; // prettier-ignore
    const kept = keepShape(y, POINTS);
    const of = (list: Float64Array) => Float64Array.from(kept, (i) => list[i] ?? NaN);
    return { x: of(x), y: of(y), error: of(error) };
  };
  return {
    cycle: numberOf(frame, at, "cycle_index"), half: numberOf(frame, at, "half_cycle_index"),
    charging: numberOf(frame, at, "kind") === 1,
    incremental: curve(INCREMENTAL), differential: differential ? curve(DIFFERENTIAL) : undefined,
  }; // prettier-ignore
}

/**
 * Limits that hold what is known: where a plateau is flat dQ/dV leaves all bounds, and its error with it. Of what is
 * known to better than a third; a peak that would leave the others flat leaves the plot.
 */
function robust(members: readonly Member[], fromZero: boolean): Span | undefined {
  const known: number[] = [];
  for (const { x, y, error } of members) {
    const end = x[x.length - 1]!;
    for (let i = 0; i < y.length; i++) {
      // The ends of half cycles rise without bound in dV/dQ: what lies between them decides.
      if (!fromZero && (x[i]! < 0.02 * end || x[i]! > 0.98 * end)) continue;
      if (Number.isFinite(y[i]!) && !(error && error[i]! > Math.abs(y[i]!) / 3)) known.push(y[i]!);
    }
  }
  if (known.length === 0) return undefined;
  known.sort((a, b) => a - b);
  const at = (share: number): number => known[Math.round(share * (known.length - 1))]!;
  const most = 4 * Math.max(Math.abs(at(0.02)), Math.abs(at(0.98)));
  const [low, high] = [Math.min(0, Math.max(at(0), -most)), Math.max(0, Math.min(at(1), most))];
  const room = 0.08 * (high - low || 1);
  return [low - (low < 0 ? room : 0), high + (high > 0 ? room : 0)];
}

interface RunningOptions {
  readonly stream: string;
  readonly columns: readonly string[];
  readonly first: Ms;
  readonly onData: (newest: Ms) => void;
}

/** Points of the half cycle that goes on, of a stream with a row a point: those since the last whole curve. */
class Running {
  readonly #client: Client;
  readonly #options: RunningOptions;
  readonly #buffer = new TraceBuffer(2 * POINTS);
  #subscription: Subscription | undefined;
  #from: Ms = NaN;

  constructor(client: Client, options: RunningOptions) {
    this.#client = client;
    this.#options = options;
  }

  close(): void {
    this.#subscription?.close();
    this.#subscription = undefined;
  }

  /** Of a half cycle later than this one, as it was known at a moment. */
  after(half: number, since: Ms | undefined, moment: Ms | undefined): HalfCycle | undefined {
    // At an earlier moment only what is still held: whole curves tell of the past.
    if (moment === undefined) this.#ask(since ?? this.#options.first);
    const { length, time, columns } = this.#buffer;
    const index = columns.get("half_cycle_index");
    if (!index) return undefined;
    const rows: number[] = [];
    let number = -1;
    for (let i = 0; i < length; i++) {
      if (index.count[i] === 0 || index.min[i] !== index.max[i] || !(index.min[i]! > half)) continue;
      if (moment !== undefined && time[i]! > moment) break;
      if (index.min[i] !== number) rows.length = 0; // of several half cycles the last
      number = index.min[i]!;
      rows.push(i);
    }
    if (rows.length < 2) return undefined;
    const list = (name: string): Float64Array =>
      Float64Array.from(rows, (i) => (columns.get(name)!.min[i]! + columns.get(name)!.max[i]!) / 2);
    const last = rows.at(-1)!;
    const curve = ([x, y, error]: readonly [string, string, string]): Curve => ({
      x: list(x), y: list(y), error: list(error),
    }); // prettier-ignore
    return {
      cycle: columns.get("cycle_index")!.max[last]!, half: number,
      charging: columns.get("kind")!.max[last] === 1,
      incremental: curve(INCREMENTAL), differential: columns.has("dv_dq") ? curve(DIFFERENTIAL) : undefined,
    }; // prettier-ignore
  }

  #ask(from: Ms): void {
    if (from === this.#from) return;
    this.#from = from;
    const { stream, columns, onData } = this.#options;
    const request = { stream, columns, from, to: "live", maxPoints: POINTS } as const;
    if (this.#subscription) return this.#subscription.change(request);
    this.#subscription = this.#client.subscribe(request, (frame) => {
      if (frame.kind !== "trace") return;
      this.#buffer.push(frame);
      onData(frame.lastTime ?? NaN);
    });
  }
}

customElements.define("op-incremental", OpIncremental);

declare global {
  interface HTMLElementTagNameMap {
    "op-incremental": OpIncremental;
  }
}
