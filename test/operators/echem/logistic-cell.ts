/** A cell whose charge is a known function of its voltage: logistic steps, as a cycler would record it. */
export interface LogisticStep {
  readonly a: number; // A.h
  readonly V: number;
  readonly w: number;
}

export const chargeAt = (steps: readonly LogisticStep[], V: number): number =>
  steps.reduce((sum, { a, V: at, w }) => sum + a / (1 + Math.exp(-(V - at) / w)), 0);
export const slopeAt = (steps: readonly LogisticStep[], V: number): number =>
  steps.reduce((sum, { a, V: at, w }) => sum + a / (4 * w * Math.cosh((V - at) / (2 * w)) ** 2), 0);

export interface Recording {
  readonly from_V: number;
  readonly to_V: number;
  readonly hours: number;
  /** The cycler looks so often, and records when it has waited so long or the voltage has moved so far. */
  readonly look_s: number;
  readonly record_s: number;
  readonly record_V?: number;
  readonly noise: () => number;
}

/** Records of one half cycle at constant current, from one voltage to another. */
export function recordOf(
  steps: readonly LogisticStep[],
  { from_V, to_V, hours, look_s, record_s, record_V = Infinity, noise }: Recording,
) {
  const [from, to] = [chargeAt(steps, from_V), chargeAt(steps, to_V)];
  const looks = Math.round((hours * 3600) / look_s);
  const sign = Math.sign(to_V - from_V);
  // V(Q) by a fine table, walked along.
  const table = Array.from({ length: 20_001 }, (_, i) => {
    const V = from_V + ((to_V - from_V) * i) / 20_000;
    return [sign * (chargeAt(steps, V) - from), V] as const;
  });
  const time: bigint[] = [], voltage: number[] = [], charge: number[] = []; // prettier-ignore
  let [at, last_s, last_V] = [0, -Infinity, NaN];
  for (let look = 0; look <= looks; look++) {
    const passed = (Math.abs(to - from) * look) / looks;
    while (at + 2 < table.length && table[at + 1]![0] < passed) at++;
    const [[q0, v0], [q1, v1]] = [table[at]!, table[at + 1]!];
    const measured = v0 + ((passed - q0) / (q1 - q0)) * (v1 - v0) + noise();
    const seconds = look * look_s;
    if (seconds - last_s < record_s - 1e-9 && !(Math.abs(measured - last_V) >= record_V)) continue;
    [last_s, last_V] = [seconds, measured];
    time.push(BigInt(Math.round(seconds * 1e9)));
    voltage.push(measured);
    charge.push(passed);
  }
  return { time, voltage, charge, kind: sign > 0 ? 1 : 2 };
}

export type Half = ReturnType<typeof recordOf>;

/** Half cycles one after the other, as echem/charge gives them, with a rest of so many records after each. */
export function chargeStream(halves: readonly Half[], restRows = 0, gap_s = 10) {
  const rows: (readonly [bigint, number, number, number, number])[] = [];
  let offset = 0n;
  for (const [index, { time, voltage, charge, kind }] of halves.entries()) {
    time.forEach((t, i) => rows.push([offset + t, voltage[i]!, charge[i]!, kind, index]));
    const next = BigInt(gap_s) * 1_000_000_000n;
    let last = offset + (time.at(-1) ?? 0n);
    for (let k = 0; k < restRows; k++) rows.push([(last += next), voltage.at(-1)!, charge.at(-1)!, 0, index]);
    offset = last + next;
  }
  return {
    time: BigInt64Array.from(rows, (row) => row[0]),
    voltage_volt: Float64Array.from(rows, (row) => row[1]),
    half_cycle_charge_ampere_hour: Float64Array.from(rows, (row) => row[2]),
    kind: Int32Array.from(rows, (row) => row[3]),
    half_cycle_index: Int32Array.from(rows, (row) => row[4]),
    cycle_index: Int32Array.from(rows, (row) => row[4] >> 1),
    gap: new Uint8Array(rows.length),
  };
}
