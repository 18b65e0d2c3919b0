import type { Point } from "./charge-windows.ts";

/**
 * dQ/dV by levels of voltage: how much charge passed while the voltage stood at each.
 *
 *     c[k]  = (Q[k+1] - Q[k-1]) / 2          charge of record k, shared out to the two levels beside V[k] in proportion
 *     d[j]  = Σ c at level j / step          density of charge over voltage
 *     dQ/dV = a - c2 (step² / 6 + σ²)        from the parabola a + b x + c2 x² through d[j] in a window, by least squares
 *
 * Every record counts, however often the noise σ of V carries it over a level and back: no crossing is chosen, so none
 * is chosen early. What is found is dQ/dV smeared by σ and by the sharing out; the last term takes this off again, to
 * second order. Both are kernels of a sum K(V[k]) c[k], whose variance is σ² Σ c² K'(V)². σ is told by how far V lies
 * from the line between its neighbours (median over the last 255 records), and is no less than a voltmeter's digit allows
 * (its step / √12): where the same voltage comes several times running, its charge is that of one record.
 *
 * A level is settled once three records running have gone past its window by 4 σ; what comes back to it later counts
 * to the capacity of the levels after it. Memory: two numbers a level.
 */
export interface LevelSettings {
  readonly half_V: number;
  readonly step_V: number;
}

/** Plain, so that it can be saved. */
export interface Levels {
  /** Level of the first entries of the lists; these hold charge [A.h] at a level and its squares between it and the next. */
  low: number;
  charge: number[];
  squares: number[];
  /** Charge of the half cycle when it was first seen. */
  from: number;
  first_V: number;
  /** 1 if the voltage rises, 0 as long as that is not known. */
  direction: number;
  /** Next level to settle, counted in the direction. */
  next: number;
  /** The last three of the stretch under way: records of one voltage that follow each other are one, from `charge` to `last`. */
  recent: { charge: number; last: number; voltage: number }[];
  /** Distances of V from the line between its neighbours, in standard deviations of 1. */
  distances: number[];
  /** Least step to or from a voltage that came several times running. */
  resolution: number;
  /** σ as of one of the last records. */
  noise: number;
  lost: boolean;
}

export const freshLevels = (): Levels => ({
  low: 0, charge: [], squares: [], from: NaN, first_V: NaN, direction: 0, next: NaN, recent: [], distances: [], resolution: Infinity, noise: NaN, lost: false,
}); // prettier-ignore

const LAST_DISTANCES = 255;
/** The noise is told anew after so many records. */
const NOISE_EVERY = 64;
const MOST_LEVELS = 20_000;
const LEAST_LEVELS = 4;
/** Records in a window that a level is told from. */
const LEAST_RECORDS = 6;

function noiseOf({ distances, resolution }: Levels): number {
  const sorted = Float64Array.from(distances, Math.abs).sort();
  if (sorted.length === 0) return NaN;
  const rounded = resolution === Infinity ? 0 : resolution / Math.sqrt(12);
  return Math.max(rounded, 1.4826 * sorted[sorted.length >> 1]!);
}

export function addToLevels(
  levels: Levels, charge: number, voltage: number, sign: number, settings: LevelSettings, give: (point: Point) => void,
): void {
  const { recent } = levels;
  if (Number.isNaN(levels.from)) {
    levels.from = charge;
    levels.first_V = voltage;
  }
  const before = recent.at(-1);
  if (before?.voltage === voltage) {
    before.last = charge;
    return;
  }
  recent.push({ charge, last: charge, voltage });
  if (recent.length === 2) share(levels, before!.voltage, (charge + before!.last) / 2 - before!.charge, settings);
  if (recent.length < 3) return;
  const [a, b, c] = recent as [(typeof recent)[0], (typeof recent)[0], (typeof recent)[0]];
  share(levels, b.voltage, (c.charge + b.last - b.charge - a.last) / 2, settings);
  if (b.last > b.charge) levels.resolution = Math.min(levels.resolution, Math.abs(b.voltage - a.voltage), Math.abs(c.voltage - b.voltage));
  const [from, at, to] = [a, b, c].map((one) => (one.charge + one.last) / 2) as [number, number, number];
  if (to > from) {
    const part = (at - from) / (to - from);
    const distance = b.voltage - a.voltage - part * (c.voltage - a.voltage);
    levels.distances.push(distance / Math.sqrt(1 + part * part + (1 - part) ** 2));
    const count = levels.distances.length;
    if (count <= 2 * NOISE_EVERY || count > LAST_DISTANCES) levels.noise = noiseOf(levels);
    // Forgotten a few at a time, so that the noise is told as often.
    if (count > LAST_DISTANCES) levels.distances.splice(0, NOISE_EVERY);
  }
  const moved = b.voltage - levels.first_V;
  if (levels.direction === 0 && Math.abs(moved) > 2 * settings.half_V) levels.direction = Math.sign(moved);
  if (levels.direction !== 0) {
    const way = levels.direction;
    const least = Math.min(way * a.voltage, way * b.voltage, way * c.voltage);
    const upTo = (least - 4 * levels.noise) / settings.step_V - reachOf(settings) - 1;
    settleTo(levels, upTo, Infinity, sign, settings, give);
  }
  recent.shift();
} // prettier-ignore

/** The stretch ends: a rest, a gap, or the half cycle's end. */
export function endRun(levels: Levels, settings: LevelSettings): void {
  const { recent } = levels;
  const [end, before] = [recent.at(-1), recent.at(-2)];
  if (end) share(levels, end.voltage, end.last - (before ? (end.charge + before.last) / 2 : end.charge), settings);
  recent.length = 0;
} // prettier-ignore

/** Settles what is left, as far as the voltage came. */
export function endLevels(
  levels: Levels, last_V: number, sign: number, settings: LevelSettings, give: (point: Point) => void,
): void {
  if (Number.isNaN(levels.from)) return;
  levels.noise = noiseOf(levels);
  const { noise } = levels;
  if (levels.direction === 0) levels.direction = last_V < levels.first_V ? -1 : 1;
  const end = (levels.direction * last_V - settings.step_V - 2 * noise) / settings.step_V;
  settleTo(levels, end, Math.floor(end), sign, settings, give);
} // prettier-ignore

function share(levels: Levels, voltage: number, charge: number, { step_V }: LevelSettings): void {
  const place = voltage / step_V;
  const level = Math.floor(place);
  if (levels.charge.length === 0) levels.low = level;
  const length = Math.max(levels.charge.length, level + 2 - levels.low) + Math.max(0, levels.low - level);
  if (length > MOST_LEVELS) {
    levels.lost = true;
    return;
  }
  while (levels.low > level) {
    const more = Array<number>(Math.max(levels.low - level, Math.min(64, MOST_LEVELS - length))).fill(0);
    levels.charge.unshift(...more);
    levels.squares.unshift(...more);
    levels.low -= more.length;
  }
  while (levels.charge.length < level + 2 - levels.low) {
    levels.charge.push(0);
    levels.squares.push(0);
  }
  const i = level - levels.low;
  const part = place - level;
  levels.charge[i]! += charge * (1 - part);
  levels.charge[i + 1]! += charge * part;
  levels.squares[i]! += charge * charge;
}

/** Levels that a window reaches to either side. */
const reachOf = ({ half_V, step_V }: LevelSettings): number => Math.max(2, Math.round(half_V / step_V));

/** All levels up to `upTo`, counted in the direction; windows reach no further than level `end`. */
function settleTo(
  levels: Levels, upTo: number, end: number, sign: number, settings: LevelSettings, give: (point: Point) => void,
): void {
  const { direction, first_V, noise } = levels;
  const { step_V } = settings;
  if (Number.isNaN(noise) || levels.next > upTo) return;
  const begin = Math.ceil((direction * first_V + step_V + 2 * noise) / step_V);
  if (Number.isNaN(levels.next)) levels.next = begin;
  const reach = reachOf(settings);
  for (; levels.next <= upTo; levels.next++) {
    const at = levels.next;
    const point = levelAt(levels, at, Math.max(begin, at - reach), Math.min(end, at + reach), sign, settings);
    if (point) give(point);
  }
} // prettier-ignore

function levelAt(
  levels: Levels, at: number, from: number, to: number, sign: number, { step_V }: LevelSettings,
): Point | undefined {
  const count = to - from + 1;
  if (count < LEAST_LEVELS) return undefined;
  const { direction, low, noise } = levels;
  const chargeAt = (j: number): number => levels.charge[direction * j - low] ?? 0;
  // Squares stand between a level and the next higher voltage.
  const squaresAfter = (j: number): number => levels.squares[(direction > 0 ? j : -j - 1) - low] ?? 0;

  let [total, squared] = [0, 0];
  for (let j = from; j <= to; j++) {
    total += chargeAt(j);
    squared += squaresAfter(j);
  }
  if (!(total * total > LEAST_RECORDS * squared)) return undefined;
  const sums = new Float64Array(5);
  for (let j = from; j <= to; j++)
    for (let k = 0, power = 1; k < 5; k++, power *= j - at) sums[k]! += power;
  const [s0, s1, s2, s3, s4] = sums as unknown as [number, number, number, number, number];
  // Adjugate of the symmetric matrix (s0 s1 s2, s1 s2 s3, s2 s3 s4)
  const [a00, a01, a02] = [s2 * s4 - s3 * s3, s2 * s3 - s1 * s4, s1 * s3 - s2 * s2];
  const [a11, a12, a22] = [s0 * s4 - s2 * s2, s1 * s2 - s0 * s3, s0 * s2 - s1 * s1];
  const determinant = s0 * a00 + s1 * a01 + s2 * a02;
  const smeared = 1 / 6 + (noise / step_V) ** 2;
  const weights = (j: number): readonly [number, number] => {
    if (j < from || j > to) return [0, 0];
    const x = j - at;
    const b2 = a02 + a12 * x + a22 * x * x;
    return [(a00 + a01 * x + a02 * x * x - smeared * b2) / determinant, (a01 + a11 * x + a12 * x * x) / determinant];
  };
  let [density, rise, variance, riseVariance] = [0, 0, 0, 0];
  let [value, slope] = [0, 0];
  for (let j = from - 1; j <= to; j++) {
    const [valueNext, slopeNext] = weights(j + 1);
    const squares = squaresAfter(j);
    variance += squares * (valueNext - value) ** 2;
    riseVariance += squares * (slopeNext - slope) ** 2;
    [value, slope] = [valueNext, slopeNext];
    if (j < to) {
      density += value * chargeAt(j + 1);
      rise += slope * chargeAt(j + 1);
    }
  }
  const size = density / step_V; // of charge passed, over voltage in the direction
  const se = (noise * Math.sqrt(variance)) / step_V ** 2;
  const told = size > 2 * se;
  const way = sign * direction;
  // Charge below the level: half of what lies about it. Levels before `begin` hold charge too.
  let capacity = levels.from + chargeAt(at) / 2;
  const edge = direction > 0 ? low : -(low + levels.charge.length - 1);
  for (let j = edge; j < at; j++) capacity += chargeAt(j);
  return {
    voltage: direction * at * step_V,
    capacity,
    capacity_se: (noise * Math.sqrt((squaresAfter(at - 1) + squaresAfter(at)) / 2)) / step_V,
    dq_dv: way * size,
    dq_dv_se: se,
    dv_dq: told ? way / size : NaN,
    dv_dq_se: told ? se / size ** 2 : NaN,
    window: count * step_V,
    rise: (sign * rise) / step_V ** 2,
    rise_se: (noise * Math.sqrt(riseVariance)) / step_V ** 3,
  };
} // prettier-ignore
