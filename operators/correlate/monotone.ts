/**
 * A measured quantity as a monotone function of time, segment by segment, as its values come.
 *
 * Within a segment that rises: the non-decreasing function nearest to the values (least squares; pool adjacent violators), as
 * blocks of rows with their mean. A segment ends where the quantity has turned back from its extreme by more than the hysteresis,
 * and the next begins at that extreme.
 *
 *     hysteresis = max(12 s, 0.002 · range so far)       s: noise (running-noise.ts)
 *
 * What a later value may still change is kept, the rest handed on: a block that lies more than the hysteresis below the extreme
 * cannot change. Rows that wait since an extreme are pooled in pairs beyond `MOST_WAITING`, so memory is bounded.
 *
 * Reference: Barlow et al., Statistical Inference under Order Restrictions, Wiley (1972).
 */
import { freshNoise, noiseOf, observe, type RunningNoise } from "../running-noise.ts";

const MOST_WAITING = 1024;
/** Second differences that tell the noise, at least and at most: of fewer it is now and then so small that noise turns back. */
const ENOUGH = 16, NOISE_OF = 255; // prettier-ignore
const NOISES = 12, RANGE_SHARE = 0.002; // prettier-ignore

/** Rows that have one value: plain numbers, so that they can be saved. */
export interface Block {
  first: bigint;
  last: bigint;
  mean: number;
  rows: number;
}

export interface Knot {
  readonly time: bigint;
  readonly value: number;
  /** Standard error. */
  readonly se: number;
  readonly segment: number;
  /** 1 rising, -1 falling, 0 neither. */
  readonly direction: number;
}

export interface Monotone {
  segment: number;
  direction: number;
  /** In the sense of the direction; those handed on are gone. */
  blocks: Block[];
  /** Since the extreme; of a segment without a direction all. */
  waiting: Block[];
  /** Of the segment, while it has no direction. */
  low: number;
  high: number;
  extreme: number;
  least: number;
  most: number;
  /** What was handed on last, which the next must not fall behind. */
  given: number;
  noise: RunningNoise;
}

export const freshMonotone = (): Monotone => ({
  segment: 0, direction: 0, blocks: [], waiting: [], low: Infinity, high: -Infinity, extreme: -Infinity, least: Infinity, most: -Infinity, given: -Infinity, noise: freshNoise(),
}); // prettier-ignore

/** By how much the quantity must turn back. */
const turnOf = ({ noise, most, least }: Monotone): number =>
  Math.max(NOISES * noiseOf(noise), RANGE_SHARE * (most - least));

/** Takes a row, later than those before; `give` gets what is settled by it. The value is finite. */
export function take(state: Monotone, time: bigint, value: number, give: (knot: Knot) => void): void {
  observe(state.noise, value, NOISE_OF);
  state.least = Math.min(state.least, value);
  state.most = Math.max(state.most, value);
  const turn = turnOf(state);
  const row: Block = { first: time, last: time, mean: value, rows: 1 };
  wait(state, row);
  if (state.direction === 0) {
    state.low = Math.min(state.low, value);
    state.high = Math.max(state.high, value);
    const { low, high } = state;
    if (state.noise.seconds.length < ENOUGH || !(high - low > turn)) return;
    state.direction = value - low > high - value ? 1 : -1;
    state.extreme = state.direction * value;
    settle(state, turn, give);
  } else if (state.direction * value >= state.extreme) {
    state.extreme = state.direction * value;
    settle(state, turn, give);
  } else if (state.direction * value < state.extreme - turn) {
    const back = state.waiting;
    const direction = -state.direction;
    state.waiting = [];
    close(state, give);
    // The rows since the extreme are those of the next segment.
    state.direction = direction;
    state.waiting = back;
    state.extreme = direction * value;
    settle(state, turn, give);
  }
}

/** Ends the segment: all that was kept is settled. */
export function close(state: Monotone, give: (knot: Knot) => void): void {
  if (state.blocks.length === 0 && state.waiting.length === 0) return;
  if (state.direction === 0) {
    const [first, last] = [state.waiting[0]!.mean, state.waiting.at(-1)!.mean];
    if (Math.abs(last - first) > turnOf(state)) state.direction = Math.sign(last - first);
    else state.waiting = [state.waiting.reduce(joined)]; // nothing but noise: one value
  }
  settle(state, -Infinity, give);
  state.segment++;
  state.direction = 0;
  state.blocks = [];
  state.low = Infinity;
  state.high = state.extreme = state.given = -Infinity;
}

/** Time of the earliest row that is not handed on; undefined where there is none. */
export const earliest = ({ blocks, waiting }: Monotone): bigint | undefined =>
  blocks[0]?.first ?? waiting[0]?.first;

function wait(state: Monotone, row: Block): void {
  state.waiting.push(row);
  if (state.waiting.length <= MOST_WAITING) return;
  const pairs: Block[] = [];
  for (let i = 0; i < state.waiting.length; i += 2) {
    const [a, b] = [state.waiting[i]!, state.waiting[i + 1]];
    pairs.push(b ? joined(a, b) : a);
  }
  state.waiting = pairs;
}

/** Blocks of one mean have exactly that. */
const joined = (a: Block, b: Block): Block => {
  const rows = a.rows + b.rows;
  return { first: a.first, last: b.last, mean: a.mean + ((b.mean - a.mean) * b.rows) / rows, rows };
};

/** Pools what waited, and hands on what lies further than `turn` behind the extreme. */
function settle(state: Monotone, turn: number, give: (knot: Knot) => void): void {
  const { blocks } = state;
  const direction = state.direction || 1;
  for (let block of state.waiting) {
    while (blocks.length > 0 && direction * blocks.at(-1)!.mean >= direction * block.mean)
      block = joined(blocks.pop()!, block);
    blocks.push(block);
  }
  state.waiting = [];
  let settled = 0;
  while (settled < blocks.length && direction * blocks[settled]!.mean < state.extreme - turn) settled++;
  if (turn === -Infinity) settled = blocks.length;
  for (const block of blocks.splice(0, settled)) {
    // What was handed on before the noise was known stands.
    state.given = Math.max(state.given, direction * block.mean);
    const value = direction * state.given;
    const se = noiseOf(state.noise) / Math.sqrt(block.rows);
    const knot = { value, se, segment: state.segment, direction: state.direction };
    give({ ...knot, time: block.first });
    if (block.last !== block.first) give({ ...knot, time: block.last });
  }
}
