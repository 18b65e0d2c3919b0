/**
 * Splits what stands out of a picture into its summits.
 *
 * Pixels of the mask are taken from the highest down. One without a labelled neighbour begins a summit, one beside a
 * summit joins it (of several the one of the highest neighbour); where two summits meet, the lower is no summit of its own if it rises by less
 * than `prominence` above the pass between them, and falls to the higher. So noise on a grain does not split it, and
 * grains that touch are parted along the valley between them.
 *
 * `heights` (rows × cols) NaN or outside the mask: label -1. Labels are numbered from 0 in the order of their first pixels.
 *
 * Reference: Vincent & Soille, IEEE Trans. Pattern Anal. 13, 583 (1991), by union-find; prominence as in topography.
 */
export function watershed(
  heights: Float64Array, mask: Uint8Array, rows: number, cols: number, prominence: number,
): { labels: Int32Array; count: number } {
  const order = new Uint32Array(heights.length);
  let n = 0;
  for (let i = 0; i < heights.length; i++) if (mask[i] && heights[i]! === heights[i]!) order[n++] = i;
  const sorted = order.subarray(0, n).sort((a, b) => heights[b]! - heights[a]! || a - b);
  const summitOf = new Int32Array(heights.length).fill(-1);
  const parent: number[] = [];
  const peak: number[] = [];
  const root = (i: number): number => {
    while (parent[i] !== i) i = parent[i] = parent[parent[i]!]!;
    return i;
  };
  for (const i of sorted) {
    const [r, c] = [Math.floor(i / cols), i % cols];
    let own = -1;
    let highest = -Infinity;
    const beside: number[] = [];
    for (let dr = -1; dr <= 1; dr++) {
      for (let dc = -1; dc <= 1; dc++) {
        const j = i + dr * cols + dc;
        if (r + dr < 0 || r + dr >= rows || c + dc < 0 || c + dc >= cols || j === i || summitOf[j] === -1) continue;
        const summit = root(summitOf[j]!);
        if (!beside.includes(summit)) beside.push(summit);
        if (heights[j]! > highest) [highest, own] = [heights[j]!, summit];
      }
    }
    if (own < 0) {
      own = parent.length;
      parent.push(own);
      peak.push(heights[i]!);
    }
    summitOf[i] = own;
    // The higher of two first: what is left of three or four falls to it.
    beside.sort((a, b) => peak[b]! - peak[a]! || a - b);
    for (let k = 1; k < beside.length; k++)
      if (peak[beside[k]!]! - heights[i]! < prominence) parent[beside[k]!] = root(beside[0]!);
  }
  const numbers = new Map<number, number>();
  const labels = new Int32Array(heights.length).fill(-1);
  for (let i = 0; i < labels.length; i++) {
    if (summitOf[i] === -1) continue;
    const summit = root(summitOf[i]!);
    let number = numbers.get(summit);
    if (number === undefined) numbers.set(summit, (number = numbers.size));
    labels[i] = number;
  }
  return { labels, count: numbers.size };
} // prettier-ignore
