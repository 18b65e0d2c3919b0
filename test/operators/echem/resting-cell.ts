export interface RestOptions {
  readonly rest_s?: number;
  /** Interval between records at a time after the current was switched off. */
  readonly interval_s?: (t: number) => number;
  readonly noise?: () => number;
  /** Records with current before the rest, and their kind. */
  readonly before?: number;
  readonly kind?: number;
}

/** Records of a charge (or discharge), a rest whose voltage is `voltage(t)`, and one record of a discharge after it. */
export function restOf(
  voltage: (t: number) => number,
  { rest_s = 3600, interval_s = (t) => Math.max(1, t / 50), noise = () => 0, before = 20, kind = 1 }: RestOptions = {},
) {
  const rows: [seconds: number, volt: number, kind: number, step: number][] = [];
  for (let i = 0; i < before; i++) rows.push([i * 10, voltage(0), kind, 0]);
  const zero = before > 0 ? (before - 1) * 10 : 0;
  for (let t = before > 0 ? 0 : -1e-9; t < rest_s;) {
    t = t < 0 ? 0 : Math.min(rest_s, t + interval_s(t));
    rows.push([zero + t, voltage(t) + noise(), 0, 1]);
  }
  rows.push([zero + rest_s + 1, voltage(rest_s), 2, 2]);
  const time = BigInt64Array.from(rows, ([s]) => BigInt(Math.round(s * 1e9)));
  return {
    echem: { time, voltage_volt: Float64Array.from(rows, (row) => row[1]) },
    state: { time, kind: Int32Array.from(rows, (row) => row[2]), step_index: Int32Array.from(rows, (row) => row[3]) },
  };
} // prettier-ignore
