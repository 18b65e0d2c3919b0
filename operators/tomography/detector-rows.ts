import { WiringError } from "../../runtime/index.ts";

/** Rows of the detector that are named, `512` or `z=512`; the middle one where none is. */
export function detectorRows(named: readonly (string | number)[], rows: number): number[] {
  if (named.length === 0) return [Math.floor(rows / 2)];
  return named.map((name) => {
    const row = typeof name === "number" ? name : Number(/^\s*(?:z\s*=)?\s*(\d+)\s*$/.exec(name)?.[1] ?? NaN);
    if (!Number.isInteger(row) || row < 0 || row >= rows) {
      throw new WiringError(
        `slices: ${name} is not a row of the detector; wanted 0 to ${rows - 1}, as 512 or z=512`,
      );
    }
    return row;
  });
}
