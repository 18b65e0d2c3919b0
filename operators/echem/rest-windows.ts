import { REST, signOf } from "./current-state.ts";
import { LEAST_ROWS, localCubic } from "./local-cubic.ts";
import { noneAlone, pairsOf, tellAlone, type Alone } from "./record-pairs.ts";

/**
 * How fast the voltage moves in a rest: rates at even steps of ln t, t the time since the current was switched off.
 *
 *     dV/d ln t, dV/dt = (dV/d ln t) / t, t d²V/dt² = (d²V/d(ln t)² - dV/d ln t) / t
 *
 * from a cubic through V(ln t) over [t / window, t window] (local-cubic.ts); or, where the drift should be even, from one
 * through V(t), over which a straight line is straight. Before that the records are gathered into 256
 * cells per factor e of t, each with the mean of its records, so that a rest of any length takes little memory.
 */
export interface Rate {
  /** Time since the current was switched off [s]. */
  readonly elapsed: number;
  readonly voltage: number;
  readonly voltage_se: number;
  readonly dv_dt: number;
  readonly dv_dt_se: number;
  readonly dv_dlnt: number;
  readonly dv_dlnt_se: number;
  /** t d²V/dt² [V/s]. */
  readonly bend: number;
  readonly bend_se: number;
  /** Cells that it is told from. */
  readonly rows: number;
}

export interface RestSettings {
  /** Half a window, and from one to the next, in cells. */
  readonly half: number;
  readonly spacing: number;
  readonly over: "t" | "ln t";
}

export const CELLS_PER_E = 256;

export function restSettings(
  window: number,
  pointsPerDecade: number,
  over: RestSettings["over"],
): RestSettings {
  return {
    over,
    half: Math.max(4, Math.round(Math.log(window) * CELLS_PER_E)),
    spacing: Math.max(1, Math.round((Math.LN10 * CELLS_PER_E) / pointsPerDecade)),
  };
}

/** Plain, so that it can be saved. */
export interface Rest {
  start: bigint;
  end: bigint;
  step: number;
  /** The current was switched off at a time that is known: of the last record with current. */
  known: boolean;
  zero_s: number;
  elapsed_s: number;
  records: number;
  first_V: number;
  last_V: number;
  /** +1 after a charge, -1 after a discharge, 0 where neither was seen. */
  after: number;
  /** Kind of the record before it. */
  kind: number;
  /** Closed cells: number, mean ln t, mean t, mean V, records. */
  cell: number[];
  lnt: number[];
  t: number[];
  V: number[];
  n: number[];
  /** Of the open cell: sums, and the mean of V. */
  open: { cell: number; lnt: number; t: number; V: number; n: number };
  /** Cell of the next window's centre. */
  next: number;
}

interface Start {
  time: bigint;
  step: number;
  /** Seconds of the last record with current; NaN where there is none. */
  switched_s: number;
  seconds: number;
  after: number;
  kind: number;
}

export function beginRest({ time, step, switched_s, seconds, after, kind }: Start): Rest {
  const known = Number.isFinite(switched_s);
  return {
    start: time, end: time, step, known, zero_s: known ? switched_s : seconds, elapsed_s: 0, records: 0, first_V: NaN, last_V: NaN,
    after, kind, cell: [], lnt: [], t: [], V: [], n: [], open: { cell: NaN, lnt: 0, t: 0, V: 0, n: 0 }, next: NaN,
  }; // prettier-ignore
}

export function addToRest(
  rest: Rest, { time, seconds, voltage }: { time: bigint; seconds: number; voltage: number }, settings: RestSettings, give: (rate: Rate) => void,
): void {
  const t = seconds - rest.zero_s;
  rest.records++;
  rest.end = time;
  rest.elapsed_s = t;
  if (!Number.isFinite(voltage)) return;
  if (Number.isNaN(rest.first_V)) rest.first_V = voltage;
  rest.last_V = voltage;
  if (!(t > 0)) return;
  const lnt = Math.log(t);
  const cell = Math.floor(lnt * CELLS_PER_E);
  if (cell !== rest.open.cell) {
    close(rest);
    rest.open.cell = cell;
    if (Number.isNaN(rest.next)) rest.next = settings.spacing * Math.ceil(cell / settings.spacing);
    for (; rest.next + settings.half <= cell; rest.next += settings.spacing) {
      const rate = rateAt(rest, rest.next, settings);
      if (rate) give(rate);
    }
  }
  const { open } = rest;
  open.n++;
  open.lnt += lnt;
  open.t += t;
  open.V += (voltage - open.V) / open.n; // of equal voltages the mean is just that
} // prettier-ignore

/** The last window is the one that ends with the rest. */
export function endOfRest(rest: Rest, settings: RestSettings, give: (rate: Rate) => void): void {
  if (rest.open.n === 0) return;
  const end = rest.open.cell + 1;
  close(rest);
  if (end - settings.half < rest.next - settings.spacing + 2) return; // hardly another one than the last
  const rate = rateAt(rest, end - settings.half, settings);
  if (rate) give(rate);
}

/** Voltage at the end of the rest, from the records of its last window. */
export function endVoltage(rest: Rest, { half }: RestSettings): { value: number; se: number } {
  const from = firstCell(rest, rest.open.cell + 1 - 2 * half);
  const fit = localCubic({ x: rest.lnt, y: rest.V, weight: rest.n }, { from, to: rest.V.length }, Math.log(rest.elapsed_s), half / CELLS_PER_E);
  return fit ? { value: fit.value, se: fit.value_se } : { value: NaN, se: NaN };
} // prettier-ignore

function close(rest: Rest): void {
  const { open } = rest;
  if (open.n === 0) return;
  rest.cell.push(open.cell);
  rest.lnt.push(open.lnt / open.n);
  rest.t.push(open.t / open.n);
  rest.V.push(open.V);
  rest.n.push(open.n);
  rest.open = { cell: open.cell, lnt: 0, t: 0, V: 0, n: 0 };
}

export function firstCell({ cell }: Rest, wanted: number): number {
  let [from, to] = [0, cell.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (cell[middle]! < wanted) from = middle + 1;
    else to = middle;
  }
  return from;
}

function rateAt(rest: Rest, centre: number, { half, over }: RestSettings): Rate | undefined {
  const from = firstCell(rest, centre - half);
  const to = firstCell(rest, centre + half);
  // Records on both sides, so that no rate is told beyond where there are any.
  const middle = firstCell(rest, centre);
  if (middle - from < LEAST_ROWS / 4 || to - middle < LEAST_ROWS / 4) return undefined;
  const [lnt, halfLnt] = [centre / CELLS_PER_E, half / CELLS_PER_E];
  const t = Math.exp(lnt);
  const even = over === "t";
  const fit = localCubic(
    { x: even ? rest.t : rest.lnt, y: rest.V, weight: rest.n },
    { from, to },
    even ? t : lnt,
    even ? t * Math.sinh(halfLnt) : halfLnt,
  );
  if (!fit) return undefined;
  const { slope, slope_se, curvature, curvature_se } = fit;
  return {
    elapsed: t,
    voltage: fit.value,
    voltage_se: fit.value_se,
    dv_dt: even ? slope : slope / t,
    dv_dt_se: even ? slope_se : slope_se / t,
    dv_dlnt: even ? slope * t : slope,
    dv_dlnt_se: even ? slope_se * t : slope_se,
    bend: even ? curvature * t : (curvature - slope) / t,
    bend_se: even ? curvature_se * t : Math.hypot(curvature_se, slope_se) / t,
    rows: fit.rows,
  };
}

/** A record with what the cell does at it. */
interface Told {
  readonly time: bigint;
  readonly seconds: number;
  readonly voltage: number;
  readonly kind: number;
  readonly step: number;
}

interface EchemRows {
  readonly time: BigInt64Array;
  readonly seconds: Float64Array;
  readonly voltage_volt: Float64Array;
}
interface StateRows {
  readonly time: BigInt64Array;
  readonly kind: Int32Array;
  readonly step_index: Int32Array;
}

/** Follows rests through paired records. Plain, so that it can be saved. */
export interface Course {
  rest: Rest | undefined;
  rests: number;
  /** Of the last record with current: seconds, direction and kind; NaN and 0 where another sort of record came after it. */
  switched_s: number;
  after: number;
  kind: number;
  /** The last record, whatever it was. */
  last: { time: bigint; seconds: number };
  alone: Alone;
}

export const freshCourse = (): Course => ({
  rest: undefined, rests: 0, switched_s: NaN, after: 0, kind: -1, last: { time: 0n, seconds: -Infinity }, alone: noneAlone(),
}); // prettier-ignore

export interface Heard {
  /** Told of each record before it is taken. */
  readonly before?: (time: bigint) => void;
  /** A rate, at the time of the record that completed it. */
  readonly give: (rate: Rate, rest: Rest, time: bigint) => void;
  /** A rest has ended, before the record at this time, or with the stream. */
  readonly ended?: (rest: Rest, time: bigint) => void;
  readonly fault: (time: bigint, what: string) => void;
}

/** Takes the records of a step, each with the state of the same time. */
export function followRests(
  course: Course, { echem, state }: { readonly echem: EchemRows; readonly state: StateRows }, upTo: number, settings: RestSettings, heard: Heard,
): void {
  const pairs = pairsOf(echem.time, state.time);
  for (let p = 0; p < pairs.length; p++) {
    const [i, j] = [pairs.a[p]!, pairs.b[p]!];
    const time = echem.time[i]!;
    const told = { time, seconds: echem.seconds[i]!, voltage: echem.voltage_volt[i]!, kind: state.kind[j]!, step: state.step_index[j]! };
    heard.before?.(time);
    course.last = { time, seconds: told.seconds };
    take(course, told, settings, heard);
  }
  tellAlone(course.alone, pairs, { from: "echem/steps", ended: upTo === Infinity, fault: heard.fault });
  if (upTo === Infinity) finish(course, settings, heard);
} // prettier-ignore

/** A rest that the end of the stream ends is timed by the last record. */
export const heldBy = ({ rest, last }: Course): number => (rest ? last.seconds : Infinity);

function take(course: Course, told: Told, settings: RestSettings, heard: Heard): void {
  if (told.kind === REST) {
    course.rest ??= beginRest({ ...told, switched_s: course.switched_s, after: course.after, kind: course.kind });
    const { rest } = course;
    addToRest(rest, told, settings, (rate) => heard.give(rate, rest, told.time));
    return;
  }
  finish(course, settings, heard);
  course.switched_s = told.kind > REST ? told.seconds : NaN;
  course.kind = told.kind;
  course.after = signOf(told.kind);
} // prettier-ignore

function finish(course: Course, settings: RestSettings, { give, ended }: Heard): void {
  const { rest } = course;
  if (!rest) return;
  const { time } = course.last;
  endOfRest(rest, settings, (rate) => give(rate, rest, time));
  ended?.(rest, time);
  course.rest = undefined;
  course.rests++;
}
