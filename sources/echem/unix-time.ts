/** Rows that carry their own time in UTC, as seconds since 1970. */

/** What a double of today's seconds can tell apart: decimals beyond are not the cycler's. */
const NS_OF_A_DOUBLE = 1000n;
const LATEST_s = 1e10;

const nanoseconds = (unix_s: number): bigint =>
  BigInt(Math.round((unix_s - Math.floor(unix_s)) * 1e6)) * NS_OF_A_DOUBLE + BigInt(Math.floor(unix_s)) * 1_000_000_000n; // prettier-ignore

const isTime = (unix_s: number): boolean => unix_s > 0 && unix_s < LATEST_s;

/** When test time was 0, by a row's own time; undefined where that is none. */
export function startByRow(unix_s: number, test_s: number): bigint | undefined {
  if (!isTime(unix_s) || !Number.isFinite(test_s)) return undefined;
  return nanoseconds(unix_s) - BigInt(Math.round(test_s * 1e9));
}

/** Time of each row, ns; of one without its own time by its test time; of one without either, the start. */
export function timesFromUnix(unix_s: Float64Array, test_s: Float64Array, { instant }: { readonly instant: bigint }): BigInt64Array {
  const times = new BigInt64Array(unix_s.length);
  for (let i = 0; i < times.length; i++) {
    if (isTime(unix_s[i]!)) times[i] = nanoseconds(unix_s[i]!);
    else times[i] = instant + BigInt(Math.round((Math.abs(test_s[i]!) < LATEST_s ? test_s[i]! : 0) * 1e9));
  }
  return times;
} // prettier-ignore
