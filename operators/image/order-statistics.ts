/**
 * Order statistics of many numbers: median, quantile, mode. None of the numbers may be NaN.
 */

/** The value at place k of the order; puts what it is given in another order (quickselect, Hoare). */
export function select(values: Float64Array, k: number): number {
  for (let from = 0, to = values.length - 1; from < to;) {
    const pivot = values[(from + to) >> 1]!;
    let i = from;
    let j = to;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i <= j) {
        const swapped = values[i]!;
        values[i++] = values[j]!;
        values[j--] = swapped;
      }
    }
    if (k <= j) to = j;
    else if (k >= i) from = i;
    else break;
  }
  return values[k]!;
}

/** Median; puts what it is given in another order. NaN of nothing. */
export function median(values: Float64Array): number {
  const n = values.length;
  if (n === 0) return NaN;
  const upper = select(values, n >> 1);
  if (n % 2) return upper;
  let lower = -Infinity; // after the selection the lower half stands in front
  for (let i = 0; i < n >> 1; i++) if (values[i]! > lower) lower = values[i]!;
  return (lower + upper) / 2;
}

/** Quantile of sorted numbers, between its neighbours in proportion. NaN of nothing. */
export function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below];
  if (low === undefined) return NaN;
  const high = sorted[Math.min(sorted.length - 1, below + 1)]!;
  return low === high ? low : low + (at - below) * (high - low); // equal infinities have no difference
}

/** Mean of that part of sorted numbers, of so large a share, that lies closest: a mode that is not moved by single values. */
export function densest(sorted: Float64Array, share: number): number {
  const count = Math.max(1, Math.ceil(share * sorted.length));
  let [best, least] = [0, Infinity];
  for (let i = 0; i + count <= sorted.length; i++) {
    const width = sorted[i + count - 1]! - sorted[i]!;
    if (width < least) [best, least] = [i, width];
  }
  let sum = 0;
  for (let i = best; i < best + count; i++) sum += sorted[i]!;
  return sum / count; // NaN of nothing
}
