/**
 * White noise of a sampled quantity, as of its last values, whatever line or ramp it follows:
 *
 *     s = 1.4826 median |x[k] - 2 x[k-1] + x[k-2]| / sqrt(6)        over the last `size` second differences
 *
 * One jump is a jump, not noise: the median does not see it.
 */
export interface RunningNoise {
  /** Plain numbers, so that it can be saved: the last two values; magnitudes of differences, newest last, and by size. */
  recent: number[];
  seconds: number[];
  sorted: number[];
}

export const freshNoise = (): RunningNoise => ({ recent: [], seconds: [], sorted: [] });

/** Takes a value, which is finite. */
export function observe({ recent, seconds, sorted }: RunningNoise, value: number, size = 32): void {
  if (recent.length === 2) {
    const second = Math.abs(value - 2 * recent[1]! + recent[0]!);
    seconds.push(second);
    if (seconds.length > size) sorted.splice(placeOf(sorted, seconds.shift()!), 1);
    sorted.splice(placeOf(sorted, second), 0, second);
    recent.shift();
  }
  recent.push(value);
}

/** Standard deviation; 0 before three values have come. */
export const noiseOf = ({ sorted }: RunningNoise): number =>
  sorted.length === 0 ? 0 : (1.4826 * middle(sorted)) / Math.sqrt(6);

/** Index of the first value that is not less. */
function placeOf(sorted: readonly number[], value: number): number {
  let place = 0;
  while (place < sorted.length && sorted[place]! < value) place++;
  return place;
}

function middle(sorted: readonly number[]): number {
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
