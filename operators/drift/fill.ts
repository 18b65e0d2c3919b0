/**
 * Values with what is missing filled from its neighbours, from the rim inwards: so that splines and filters do not ring
 * where a pixel or a line is missing. Holes wider than twice SWEEPS keep what they held. Not a measurement: whoever
 * compares leaves these pixels out.
 */
export function filled(values: Float64Array, known: Uint8Array, rows: number, cols: number): Float64Array {
  const out = values.slice();
  const have = known.slice();
  let missing: number[] = [];
  for (let i = 0; i < known.length; i++) if (!known[i]) missing.push(i);
  for (let sweep = 0; sweep < SWEEPS && missing.length > 0; sweep++) {
    const done: number[] = [];
    const rest: number[] = [];
    for (const i of missing) {
      const r = Math.floor(i / cols);
      const c = i % cols;
      let sum = 0;
      let n = 0;
      for (let y = Math.max(0, r - 1); y <= Math.min(rows - 1, r + 1); y++) {
        for (let x = Math.max(0, c - 1); x <= Math.min(cols - 1, c + 1); x++) {
          if (!have[y * cols + x]) continue;
          sum += out[y * cols + x]!;
          n++;
        }
      }
      if (n === 0) {
        rest.push(i);
        continue;
      }
      out[i] = sum / n;
      done.push(i);
    }
    // Only now, so that the order of pixels does not matter.
    for (const i of done) have[i] = 1;
    missing = rest;
  }
  return out;
}

const SWEEPS = 16;
