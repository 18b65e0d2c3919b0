/**
 * Average run length of a CUSUM chart on independent normal samples: how many samples until it alarms.
 *
 *     L(u) = 1 + L(0) Φ(k − u − δ) + ∫₀ʰ L(s) φ(s + k − u − δ) ds       one side, started at u
 *     1 / L = 1 / L⁺ + 1 / L⁻                                            both sides, started at 0
 *
 *     k  reference value [σ]    h  limit [σ]    δ  shift of the mean [σ]
 *
 * The integral is taken at Gauss–Legendre nodes; with 40 of them the result is good to more digits than the model
 * deserves. Holds for uncorrelated normal samples of known mean and spread: a lag-1 correlation of 0.1 halves the
 * time between false alarms, 0.5 divides it by nine.
 *
 * Reference: Page, Biometrika 41, 100 (1954); Lucas & Crosier, Technometrics 24, 199 (1982) for two sides.
 */
export function averageRunLength(options: {
  k: number;
  h: number;
  shift?: number;
  sides?: "both" | "up" | "down";
}): number {
  const { k, h, shift = 0, sides = "both" } = options;
  if (sides === "up") return oneSided(k, h, shift);
  if (sides === "down") return oneSided(k, h, -shift);
  return 1 / (1 / oneSided(k, h, shift) + 1 / oneSided(k, h, -shift));
}

const NODES = 40;

function oneSided(k: number, h: number, shift: number): number {
  const { nodes, weights } = gaussLegendre(NODES, h);
  const starts = [0, ...nodes];
  // Row i: L(u_i) − L(0) Φ(…) − Σ w_j φ(…) L(s_j) = 1
  const rows = starts.map((u, i) => {
    const row = new Float64Array(NODES + 2);
    row[0] = -normalBelow(k - u - shift);
    for (let j = 0; j < NODES; j++) row[j + 1] = -weights[j]! * density(nodes[j]! + k - u - shift);
    row[i]! += 1;
    row[NODES + 1] = 1;
    return row;
  });
  return solveFirst(rows);
}

const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** Φ, to the last digits of a double (Marsaglia, J. Stat. Softw. 11(4), 2004). */
function normalBelow(x: number): number {
  if (x < -8) return 0;
  if (x > 8) return 1;
  let sum = x, before = 0, term = x; // prettier-ignore
  for (let i = 3; sum !== before; i += 2) {
    before = sum;
    term *= (x * x) / i;
    sum += term;
  }
  return 0.5 + sum * density(x);
}

/** Nodes and weights on 0 to `length`, by Newton steps on the Legendre polynomial. */
function gaussLegendre(n: number, length: number): { nodes: number[]; weights: number[] } {
  const nodes: number[] = [];
  const weights: number[] = [];
  for (let i = 0; i < n; i++) {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 0;
    for (let step = 0; step < 20; step++) {
      let p = 1, before = 0; // prettier-ignore
      for (let j = 0; j < n; j++) [p, before] = [((2 * j + 1) * x * p - j * before) / (j + 1), p];
      slope = (n * (x * p - before)) / (x * x - 1);
      x -= p / slope;
    }
    nodes.push(((1 - x) * length) / 2);
    weights.push(length / ((1 - x * x) * slope * slope));
  }
  return { nodes, weights };
}

/** First unknown of a linear system, its right sides in the last column; elimination with pivots. */
function solveFirst(rows: Float64Array[]): number {
  const n = rows.length;
  for (let pivot = n - 1; pivot >= 0; pivot--) {
    let best = pivot;
    for (let i = 0; i < pivot; i++) if (Math.abs(rows[i]![pivot]!) > Math.abs(rows[best]![pivot]!)) best = i;
    [rows[pivot], rows[best]] = [rows[best]!, rows[pivot]!];
    const of = rows[pivot]!;
    for (let i = 0; i < pivot; i++) {
      const factor = rows[i]![pivot]! / of[pivot]!;
      if (factor !== 0) for (let j = 0; j <= n; j++) rows[i]![j]! -= factor * of[j]!;
    }
  }
  return rows[0]![n]! / rows[0]![0]!;
}
