/**
 * What the formats of an AFM's files have in common: curves, images, thermal spectra, each read when asked for.
 * One decoder a file beside this one; file.ts finds the right one by content and makes streams of it.
 */
import type { NumericArray } from "../../runtime/index.ts";

export const APPROACH = 0, RETRACT = 1, PAUSE = 2, MODULATION = 3, UNKNOWN_SEGMENT = 255; // prettier-ignore

/** ns since 1970, UTC; `zoned` where the file writes the zone beside it, so that nothing was assumed. */
export interface When {
  readonly ns: bigint;
  readonly zoned: boolean;
}

/** Makes nanoseconds of a time that is written without its zone, such as "2021-01-29T17:03:10.356". */
export type Zoned = (local: string) => bigint;

export interface Format {
  /** For messages: "JPK force curves". */
  readonly name: string;
  /** True where the file begins so: `head` is its first 4 KiB, or all of a shorter one. */
  looks(head: Uint8Array): boolean;
  /** True where such a file is to be opened without being told how; absent: as `looks`. */
  claims?(head: Uint8Array, path: string): boolean;
  /** Reads the headers. Throws SourceError where it cannot be read, and then holds nothing open. */
  open(path: string, zoned: Zoned): Promise<AfmFile>;
}

export interface AfmFile {
  readonly path: string;
  /** With its version: "JPK force map, version 2.0". */
  readonly format: string;
  readonly instrument: string;
  readonly software: string;
  /** When the file says it began. */
  readonly start: When | undefined;
  /** Of the file as a whole, each said once. */
  readonly warnings: readonly string[];
  /** What it says that it holds and does not: the rest is given, and the run ends as failed. */
  readonly lost?: readonly string[];
  readonly curves?: CurveSet;
  readonly images?: ImageSet;
  readonly thermal?: ThermalSet;
  close(): Promise<void>;
}

export interface Grid {
  readonly columns: number;
  readonly rows: number;
  /** Edge lengths of the whole grid; NaN where the file does not say. */
  readonly sizeX_m: number;
  readonly sizeY_m: number;
}

/** Set by hand in place of what the file says, or NaN. */
export interface Calibration {
  readonly springConstant_N_per_m: number;
  readonly deflectionSensitivity_m_per_V: number;
}

export interface CurveSet {
  /** Absent where the curves are no map. */
  readonly grid: Grid | undefined;
  /** Numbers of the curves there are, in the order of their measurement. */
  readonly numbers: readonly number[];
  /** How many the file says there are. */
  readonly expected: number;
  /** false where heights of each curve count from a zero of its own, so that a map of them is no topography. */
  readonly topography?: false;
  /** What the times of curves are, for the metadata: "end of each curve's last segment". */
  readonly timeFrom: string;
  /** Reads one curve; a SourceError says why it cannot, and the others may still be read. */
  read(number: number, calibration: Calibration): Promise<Curve>;
  /** When a curve ended, from its headers alone; undefined where only the file's start and the durations say. */
  timeOf(number: number): Promise<When | undefined>;
}

export interface Curve {
  /** What the file calls it, for messages: "index/17", or "curve" where there is one. */
  readonly name: string;
  /** Pixel of the grid, line by line from the smallest y up; without a grid, its number in the file. */
  readonly index: number;
  readonly time: bigint | undefined;
  /** Of all its segments; NaN where unknown. */
  readonly duration_s: number;
  readonly x_m: number;
  readonly y_m: number;
  /** Decreases towards the sample. */
  readonly height_m: Float64Array;
  readonly force_N: Float64Array;
  readonly segment: Uint8Array;
  readonly springConstant_N_per_m: number;
  readonly deflectionSensitivity_m_per_V: number;
  readonly warnings: readonly string[];
}

/** Streams of images, each of one unit whatever the file; IMAGE_PORTS has them. */
export type ImagePort = keyof typeof IMAGE_PORTS;

/** Unit and meaning of each stream of images. What has another unit is converted by its decoder. */
export const IMAGE_PORTS = {
  topography: ["m", "height of the surface, from the sensor where there is one"],
  amplitude: ["m", "of the lever's oscillation"],
  amplitude_volt: ["V", "of the lever's oscillation, where the file has no sensitivity for it"],
  phase: ["deg", "of the lever's oscillation"],
  frequency: ["Hz", "shift of the lever's resonance"],
  deflection: ["m", "of the lever: the feedback's error in contact"],
  deflection_volt: ["V", "of the lever, where the file has no sensitivity for it"],
  friction: ["V", "lateral deflection"],
  current: ["A", "through the tip"],
  potential: ["V", "of the surface (KPFM) or of the tip"],
  modulus: ["Pa", "as the instrument computed it"],
  adhesion: ["N", "as the instrument computed it"],
  deformation: ["m", "as the instrument computed it"],
  dissipation: ["J", "energy lost in a cycle, as the instrument computed it"],
  stiffness: ["N/m", "as the instrument computed it"],
} as const satisfies Record<string, readonly [unit: string, doc: string]>;

export const TRACE = 0, RETRACE = 1; // prettier-ignore
export const UP = 0, DOWN = 1, UNKNOWN_SCAN = 255; // prettier-ignore

export interface ImageChannel {
  /** As the file calls it: "Height", "measuredHeight". */
  readonly name: string;
  /** undefined where no stream is for it: it is named in the metadata as left out. */
  readonly port: ImagePort | undefined;
  readonly unit: string;
  readonly direction: typeof TRACE | typeof RETRACE;
  /** Of two channels for the same port and direction the one of the higher rank is taken (a sensor 1, a piezo 0). */
  readonly rank: number;
  readonly rows: number;
  readonly columns: number;
}

export interface ImageFrame {
  /** When its last line was done; undefined where only the file's start and the durations say. */
  readonly end: When | undefined;
  /** From the begin of the first line to the end of the last; NaN where unknown. */
  readonly duration_s: number;
  /** UP: the line of the smallest y was scanned first. */
  readonly slowScan: typeof UP | typeof DOWN | typeof UNKNOWN_SCAN;
  /** Scanner position of the frame's middle, and how the fast axis is turned; NaN where unknown. */
  readonly centerX_m: number;
  readonly centerY_m: number;
  readonly angle_deg: number;
}

export interface ImageSet {
  /** Scans in the file, one behind the other; mostly 1. */
  readonly frames: number;
  /** Edge lengths of the scanned field. */
  readonly sizeX_m: number;
  readonly sizeY_m: number;
  readonly channels: readonly ImageChannel[];
  /** What the times of frames are; absent: "end of the frame". */
  readonly timeFrom?: string;
  /** false where nothing says which row has the smallest y: rows are as stored. */
  readonly rowsUp?: false;
  frame(number: number): Promise<ImageFrame>;
  /** Values of one channel in the unit of its port, line by line from the smallest y up; NaN where there is none. */
  read(channel: number, frame: number): Promise<Float32Array>;
}

/** Power spectral densities of the free lever. */
export interface ThermalSet {
  readonly count: number;
  read(number: number): Promise<{
    readonly end: When | undefined;
    readonly frequency_Hz: NumericArray;
    /** V²/Hz. */
    readonly power: NumericArray;
    /** K; NaN where the file does not say. */
    readonly temperature_K: number;
    /** Periodograms that were averaged; NaN where the file does not say. */
    readonly averages: number;
  }>;
}

/** A calibration in force: by hand before the file's. What is not above zero is missing, and a warning says so. */
export function inForce(
  byHand: number,
  fromFile: number | undefined,
  name: "spring_constant" | "deflection_sensitivity",
  warnings: string[],
): number {
  if (!Number.isNaN(byHand)) return byHand;
  if (fromFile !== undefined && fromFile > 0 && fromFile < Infinity) return fromFile;
  const what =
    fromFile === undefined || Number.isNaN(fromFile) ? "not in the file" : `${fromFile} in the file`;
  warnings.push(`${name} is ${what}, so force is NaN; give it as an option of the source`);
  return NaN;
}
