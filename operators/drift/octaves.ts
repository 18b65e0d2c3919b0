/** One octave of a picture: its pixel (row, col) lies at (row · step, col · step) of the picture. */
export interface Octave {
  readonly rows: number;
  readonly cols: number;
  readonly step: number;
  readonly values: Float64Array;
}

/** How many octaves of a picture are of use: the coarsest is 16 pixels across at least, and there are four at most. */
export const octaveCount = (rows: number, cols: number): number =>
  Math.max(1, Math.min(4, Math.floor(Math.log2(Math.min(rows, cols) / 16)) + 1));

/** Buffers for the octaves of pictures up to a size. */
export type OctaveRoom = readonly {
  readonly detail: Float64Array;
  readonly half: Float64Array;
  readonly lines: Float64Array;
}[];

export function octaveRoom(rows: number, cols: number, count = octaveCount(rows, cols)): OctaveRoom {
  return Array.from({ length: count }, () => {
    const [size, lines] = [rows * cols, 8 * (cols + 1)]; // eight lines, or sixteen of half the width
    rows = (rows + 1) >> 1;
    cols = (cols + 1) >> 1;
    return {
      detail: new Float64Array(size),
      half: new Float64Array(rows * cols),
      lines: new Float64Array(lines),
    };
  });
}

/**
 * A picture in octaves, the finest first:
 *
 *     L_j = G_j - b * G_j       G_0 the picture,  G_j+1 every second pixel of B * G_j
 *
 *     b, B   binomial filters of 5 and of 9 pixels along each axis; beyond its rim a picture is mirrored
 *
 * They are linear and move with the picture: octaves of a difference are the difference of octaves. L_j holds what is
 * about 3 to 12 pixels of G_j long, and nothing of a slope but at the rim. The octaves are views of `room`.
 */
export function octavesOf(
  picture: Float64Array, half: Float64Array, rows: number, cols: number, room: OctaveRoom,
): Octave[] {
  return [finestOf(picture, rows, cols, room), ...coarserOf(half, rows, cols, room)];
} // prettier-ignore

/** The first octave, which needs the picture. */
export function finestOf(picture: Float64Array, rows: number, cols: number, room: OctaveRoom): Octave {
  const { detail, lines } = room[0]!;
  const values = detail.subarray(0, rows * cols);
  highPass(picture, rows, cols, lines, values);
  return { rows, cols, step: 1, values };
}

/** All but the first, which need G_1 of a picture of rows × cols alone. */
export function coarserOf(half: Float64Array, rows: number, cols: number, room: OctaveRoom): Octave[] {
  const octaves: Octave[] = [];
  let from = half;
  for (let j = 1, step = 2; j < room.length; j++, step *= 2) {
    rows = (rows + 1) >> 1;
    cols = (cols + 1) >> 1;
    const { detail, lines, half: next } = room[j]!;
    const values = detail.subarray(0, rows * cols);
    highPass(from, rows, cols, lines, values);
    octaves.push({ rows, cols, step, values });
    if (j + 1 === room.length) break;
    halve(from, rows, cols, lines, next);
    from = next;
  }
  return octaves;
}

/** Place of the i-th value of a line that is mirrored at its ends. */
function mirrored(i: number, n: number): number {
  const at = i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i;
  return at < 0 ? 0 : at >= n ? n - 1 : at;
}

/** What smoothing by 1 4 6 4 1 takes away. Smoothed lines go round in the first eight of `lines`, so that they stay in the cache. */
function highPass(from: Float64Array, rows: number, cols: number, lines: Float64Array, to: Float64Array): void {
  for (let r = 0, done = 0; r < rows; r++) {
    for (; done < rows && done <= r + 2; done++) smoothLine(from, done * cols, cols, lines, (done & 7) * cols);
    const line = (k: number): number => (mirrored(r + k, rows) & 7) * cols;
    const m = line(0), u1 = line(-1), d1 = line(1), u2 = line(-2), d2 = line(2); // prettier-ignore
    for (let c = 0, i = r * cols; c < cols; c++, i++) {
      const smooth = 0.375 * lines[m + c]! + 0.25 * (lines[u1 + c]! + lines[d1 + c]!) + 0.0625 * (lines[u2 + c]! + lines[d2 + c]!);
      to[i] = from[i]! - smooth;
    }
  }
} // prettier-ignore

function smoothLine(from: Float64Array, at: number, cols: number, to: Float64Array, out: number): void {
  const atRim = (c: number): void => {
    const near = from[at + mirrored(c - 1, cols)]! + from[at + mirrored(c + 1, cols)]!;
    const far = from[at + mirrored(c - 2, cols)]! + from[at + mirrored(c + 2, cols)]!;
    to[out + c] = 0.375 * from[at + c]! + 0.25 * near + 0.0625 * far;
  };
  for (let c = 0; c < Math.min(2, cols); c++) atRim(c);
  for (let c = 2, i = at + 2; c < cols - 2; c++, i++) {
    to[out + c] =
      0.375 * from[i]! + 0.25 * (from[i - 1]! + from[i + 1]!) + 0.0625 * (from[i - 2]! + from[i + 2]!);
  }
  for (let c = Math.max(2, cols - 2); c < cols; c++) atRim(c);
}

const [B0, B1, B2, B3, B4] = [70 / 256, 56 / 256, 28 / 256, 8 / 256, 1 / 256];

/** Every second pixel of a picture smoothed by 1 8 28 56 70 56 28 8 1; `lines` has room for 16 lines of half the width. */
export function halve(from: Float64Array, rows: number, cols: number, lines: Float64Array, to: Float64Array): void {
  const width = (cols + 1) >> 1;
  const height = (rows + 1) >> 1;
  for (let r = 0, done = 0; r < height; r++) {
    for (; done < rows && done <= 2 * r + 4; done++) halveLine(from, done * cols, cols, lines, (done & 15) * width);
    const line = (k: number): number => (mirrored(2 * r + k, rows) & 15) * width;
    const m = line(0), u1 = line(-1), d1 = line(1), u2 = line(-2), d2 = line(2), u3 = line(-3), d3 = line(3), u4 = line(-4), d4 = line(4);
    for (let c = 0, i = r * width; c < width; c++, i++) {
      to[i] =
        B0 * lines[m + c]! + B1 * (lines[u1 + c]! + lines[d1 + c]!) + B2 * (lines[u2 + c]! + lines[d2 + c]!) +
        B3 * (lines[u3 + c]! + lines[d3 + c]!) + B4 * (lines[u4 + c]! + lines[d4 + c]!);
    }
  }
} // prettier-ignore

function halveLine(from: Float64Array, at: number, cols: number, to: Float64Array, out: number): void {
  const width = (cols + 1) >> 1;
  const atRim = (c: number): void => {
    const pair = (k: number): number => from[at + mirrored(2 * c - k, cols)]! + from[at + mirrored(2 * c + k, cols)]!;
    to[out + c] = B0 * from[at + 2 * c]! + B1 * pair(1) + B2 * pair(2) + B3 * pair(3) + B4 * pair(4);
  };
  for (let c = 0; c < Math.min(2, width); c++) atRim(c);
  let c = 2;
  for (let i = at + 4; 2 * c + 4 < cols; c++, i += 2) {
    to[out + c] =
      B0 * from[i]! + B1 * (from[i - 1]! + from[i + 1]!) + B2 * (from[i - 2]! + from[i + 2]!) +
      B3 * (from[i - 3]! + from[i + 3]!) + B4 * (from[i - 4]! + from[i + 4]!);
  }
  for (; c < width; c++) atRim(c);
} // prettier-ignore

/** Derivatives of an octave, per pixel of the picture. */
export interface Slopes {
  readonly rows: number;
  readonly cols: number;
  readonly down: Float64Array;
  readonly right: Float64Array;
  /** Mean square of both, of every seventh pixel. */
  readonly energy: number;
}

/** Weights of the derivative over five points: f' = NEAR (f₁ - f₋₁) - FAR (f₂ - f₋₂). */
export const [NEAR, FAR] = [8 / 12, 1 / 12];

/** Arrays for the slopes in each octave. */
export const slopesRoom = (rows: number, cols: number): { down: Float64Array; right: Float64Array }[] =>
  Array.from({ length: octaveCount(rows, cols) }, (_, j) => {
    const size = (((rows - 1) >> j) + 1) * (((cols - 1) >> j) + 1);
    return { down: new Float64Array(size), right: new Float64Array(size) };
  });

export function slopesOf({ rows, cols, step, values }: Octave, { down, right }: { down: Float64Array; right: Float64Array }): Slopes {
  const [near, far] = [NEAR / step, FAR / step];
  for (let r = 0; r < rows; r++) {
    const at = r * cols;
    const up = mirrored(r - 1, rows) * cols - at, below = mirrored(r + 1, rows) * cols - at; // prettier-ignore
    const up2 = mirrored(r - 2, rows) * cols - at, below2 = mirrored(r + 2, rows) * cols - at; // prettier-ignore
    for (let i = at; i < at + cols; i++) {
      down[i] = near * (values[i + below]! - values[i + up]!) - far * (values[i + below2]! - values[i + up2]!);
    }
    for (let i = at + 2; i < at + cols - 2; i++) {
      right[i] = near * (values[i + 1]! - values[i - 1]!) - far * (values[i + 2]! - values[i - 2]!);
    }
    for (const c of [0, 1, cols - 2, cols - 1]) {
      const apart = (k: number): number => values[at + mirrored(c + k, cols)]! - values[at + mirrored(c - k, cols)]!;
      right[at + c] = near * apart(1) - far * apart(2);
    }
  }
  let squares = 0;
  for (let i = 0; i < down.length; i += 7) squares += down[i]! ** 2 + right[i]! ** 2;
  return { rows, cols, down, right, energy: (7 * squares) / down.length };
} // prettier-ignore
