import { code, scalar, type Field } from "../../runtime/index.ts";
import type { Placed } from "./moves.ts";

/** What drift/images says of each frame: its columns, and how they come of a move. */

/** Codes of `valid`. */
export const [PLACED, NOTHING, NOWHERE, UNSURE, JUMPED] = [0, 1, 2, 3, 4];

export const SHIFT = {
  shift_row: scalar("{px}", { uncertainty: "shift_row_se", doc: "downwards, that the frame must move by" }),
  shift_col: scalar("{px}", {
    uncertainty: "shift_col_se",
    doc: "to the right, that the frame must move by",
  }),
  shift_row_se: scalar("{px}", { doc: "against the first frame" }),
  shift_col_se: scalar("{px}"),
  confidence: scalar("1", { doc: "correlation with what it was compared with, where nothing has changed" }),
} as const;

export const ANCHOR = {
  anchor: code({ doc: "counts up where shifts began anew, as nothing placed before could be compared with; their errors say how well that is known" }),
} as const; // prettier-ignore

export const DRIFT = {
  ...SHIFT,
  ...ANCHOR,
  shift_covariance: scalar("{px}2", { doc: "of shift_row and shift_col" }),
  shift_x: scalar("m", { uncertainty: "shift_x_se", doc: "of the sample against the scanner: moves on purpose are taken off" }),
  shift_y: scalar("m", { uncertainty: "shift_y_se" }),
  shift_x_se: scalar("m"),
  shift_y_se: scalar("m"),
  shift_xy_covariance: scalar("m2", { doc: "of shift_x and shift_y" }),
  velocity_x: scalar("m/s", { uncertainty: "velocity_x_se" }),
  velocity_y: scalar("m/s", { uncertainty: "velocity_y_se" }),
  velocity_x_se: scalar("m/s"),
  velocity_y_se: scalar("m/s"),
  angle: scalar("deg", { uncertainty: "angle_se", doc: "that the frame is turned by against the first; NaN without rotation" }),
  angle_se: scalar("deg"),
  overlap: scalar("1", { doc: "share of the frame that what it was compared with shows too" }),
  change_share: scalar("1", { doc: "share of that which differs by more than the noise" }),
  valid: code({
    codes: {
      [PLACED]: "placed", [NOTHING]: "nothing to see", [NOWHERE]: "agrees nowhere", [UNSURE]: "cannot be known well enough",
      [JUMPED]: "a jump that is not believed",
    },
  }),
} as const; // prettier-ignore

const missing = <T extends string>(fields: Readonly<Record<T, Field>>): Record<T, number> =>
  Object.fromEntries(Object.keys(fields).map((name) => [name, NaN])) as Record<T, number>;
export const NO_SHIFT = missing(SHIFT);
export const NO_DRIFT = missing(DRIFT);

export const shiftOf = ({ row, col, covariance, confidence }: Placed): typeof NO_SHIFT => ({
  shift_row: row,
  shift_col: col,
  shift_row_se: Math.sqrt(covariance[0]![0]!),
  shift_col_se: Math.sqrt(covariance[1]![1]!),
  confidence,
});

export const driftOf = ({ angle, covariance, overlap, changeShare }: Placed, rotation: boolean) => ({
  shift_covariance: covariance[0]![1]!,
  angle: rotation ? (angle * 180) / Math.PI : NaN,
  angle_se: rotation ? (Math.sqrt(covariance[2]![2]!) * 180) / Math.PI : NaN,
  overlap,
  change_share: changeShare,
});
