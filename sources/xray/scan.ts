import type { Numeric } from "../../runtime/index.ts";

export const PROJECTION = 0, FLAT = 1, DARK = 2, INVALID = 3; // prettier-ignore

/** What a file may know of each frame beside its angle; NaN where it does not. */
export interface FrameColumns {
  /** So far to the right and downwards the sample was recorded, against its place in the scan [px]. */
  readonly shift_x?: Float64Array;
  readonly shift_y?: Float64Array;
  /** Of the beam while the frame was taken, in a unit of its own. */
  readonly beam_monitor?: Float64Array;
}

/** Frames that lie one after the other in one dataset of one file, in the order they are given out. */
export interface Part {
  /** Absolute path; frame i of the part is frame `first + i` of the dataset, as a reference names it. */
  readonly file: string;
  readonly dataset: string;
  readonly first: number;
  readonly frames: number;
  /** By frame. */
  readonly image_key: Int32Array;
  /** By frame [deg]; NaN where unknown. */
  readonly rotation_angle: Float64Array;
  /** By frame [s]: since the start, or since 1970 where they are that large. All parts have them, or none. */
  readonly times_s?: Float64Array;
  /** By frame, what else is known of each; all parts have the same. */
  readonly columns?: FrameColumns;
  /** Type of its values in memory. */
  readonly type: Numeric;
  /** Frames that were compressed together; 1 where they were not. */
  readonly chunk: number;
}

/** When the frames were taken, as far as the file tells. */
export interface Clock {
  /** Of the first frame, as written. */
  readonly start?: string;
  readonly exposure_s?: number;
  /** Where the parts' times are only those at which their files were written; `rate` takes precedence then. */
  readonly times_of?: "files";
  /** When the last frame was written: what a scan without a start is put at [ns]. */
  readonly written_ns: bigint;
}

/** What a pipeline file says of how a scan is to be read. */
export interface ScanOptions {
  /** Where the file has no angles: range over which its projections are evenly spaced; 0: not said. */
  readonly angleRange_deg: number;
  /** Between neighbouring projections of a folder of images; 0: not said. */
  readonly angleStep_deg: number;
  /** List of angles, and text file with the geometry: absolute, or relative to the pipeline file. */
  readonly anglesFile?: string;
  readonly geometryFile?: string;
  /** Frames come without angles: another stream has them. */
  readonly withoutAngles?: boolean;
  /** Dataset of the file that counts the frames that are written. */
  readonly counter?: string;
  /** Waits for what comes, where it is given. */
  readonly follow?: {
    readonly every_s: number;
    /** Ends when nothing has come for so long; Infinity: never. */
    readonly endsAfter_s: number;
  };
  readonly signal: AbortSignal;
}

/** What comes while a scan is followed. */
export interface Growth {
  /** Frames that are complete now; of the same size and type as those before. */
  readonly part?: Part;
  readonly faults?: readonly { readonly what: string; readonly unread?: boolean }[];
}

/** What a file or folder of tomography holds, whatever its layout. How its frames are read: frame-files.ts. */
export interface Scan {
  readonly layout: string;
  /** What is complete when it is opened. */
  readonly parts: readonly Part[];
  /** What comes later, where it is followed; ends when the scan does. */
  readonly growth?: AsyncIterable<Growth>;
  /** Where frames may be unreadable for a moment, while others are being written: waits for the next, false at the end. */
  readonly again?: () => Promise<boolean>;
  readonly rows: number;
  readonly cols: number;
  readonly clock: Clock;
  readonly metadata: Readonly<Record<string, string>>;
  /** What a person should know of. */
  readonly remarks: readonly string[];
}

/** Only what is known. */
export function known(values: Readonly<Record<string, string | number | undefined>>): Record<string, string> {
  const rest = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(rest.map(([name, value]) => [name, String(value)]));
}

/** Angles evenly spaced over a range, its end left out. */
export const evenly = (n: number, range_deg: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => (i * range_deg) / n);

/** What metadata say of such angles. */
export const assumedAngles = (range_deg: number): string =>
  `assumed: evenly spaced over ${range_deg} deg (option angle_range), end left out`;
