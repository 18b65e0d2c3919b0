/**
 * Limits of a y axis that do not jitter: they give way when a value leaves them, and close in only when the
 * values fill less than half of them.
 */
export class SteadyRange {
  low = 0;
  high = 1;
  #set = false;

  /** Takes the least and greatest value on show; keeps the old limits where there is none. */
  fit(extent: readonly [number, number] | undefined): void {
    if (!extent) return;
    const [least, greatest] = extent;
    const span = greatest - least;
    const outside = least < this.low || greatest > this.high;
    const lost = span < 0.5 * (this.high - this.low);
    if (this.#set && !outside && !lost) return;
    // A constant still gets a band to lie in, a thousandth of its size, so that noise in the last digit stays small.
    // Of zeros alone nobody knows a size.
    const smallest = least === 0 && greatest === 0 ? 1 : Number.MIN_VALUE * 2 ** 60;
    const room = Math.max(span * 0.12, Math.abs(greatest + least) * 0.0005, smallest);
    const [low, high] = [least - room, greatest + room];
    if (this.#set && !outside && high - low >= 0.8 * (this.high - this.low)) return;
    this.low = low;
    this.high = high;
    this.#set = true;
  }
}

/** Marks of a colour bar or a small axis: about `wanted` round numbers between two values. */
export function roundMarks(low: number, high: number, wanted: number): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [];
  const raw = span / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((n) => n * power >= raw)!;
  const marks: number[] = [];
  for (let n = Math.ceil(low / step); n * step <= high; n++) marks.push(n * step);
  return marks;
}
