import { passing, type Plane, type ViewGeometry } from "./planes.ts";
import { wasmForwardKernel } from "./wasm/forward-kernel.ts";

/**
 * Forward projection: the line integrals that a horizontal slice would give in a view of a parallel beam, by Joseph's
 * method. The ray of each detector column is followed from line to line of the picture, across the lines that it
 * crosses more steeply, and the picture is interpolated where it meets them.
 *
 *     p(t) = l Σ_r f(r, c(t)),   t = start + c along + r down,   l = (along² + down²) / |along|     where |along| >= |down|
 *
 *     f  attenuation coefficient  [1/px]  (row, col)  of a `Plane`; zero outside of its circle and beyond its edges
 *     p  line integral            [1]     (col)
 *     l  length of a ray from line to line [px of the detector]
 *
 * Else columns take the place of lines. l goes with the scale of a view as the sample does: a swollen sample of the same
 * attenuation has longer rays. Pixels must be no closer than `CLOSEST` detector pixels.
 *
 * Reference: Joseph, IEEE Trans. Med. Imaging 1, 192 (1982).
 */
export interface ForwardKernel {
  /** The picture that is projected from here on, copied. */
  load(picture: Float32Array): void;
  /** Line integrals at the detector's columns, as many as `into` holds. */
  project(view: ViewGeometry, into: Float32Array): void;
}

export interface ForwardOptions {
  readonly plane: Plane;
  readonly cols: number;
}

export const FORWARD_KERNELS = { wasm: wasmForwardKernel, typescript: plainForwardKernel } as const;

/** Of neighbouring pixels [px of the detector]: four columns then meet a line within eight of them. */
export const CLOSEST = 0.65;

/** How the rays of a view cross a picture, along lines that are its rows, or its columns (`turned`). */
export interface Crossing {
  readonly turned: boolean;
  /** Place on line r that column t meets: start + t × step + r × down. */
  readonly start: number;
  readonly step: number;
  readonly down: number;
  readonly length: number;
}

export function crossing(plane: Plane, view: ViewGeometry): Crossing {
  const { start, along, down } = passing(plane, view);
  const turned = Math.abs(along) < Math.abs(down);
  const [main, side] = turned ? [down, along] : [along, down];
  const length = (along * along + down * down) / Math.abs(main);
  return { turned, start: -start / main, step: 1 / main, down: -side / main, length };
}

/** Pixels from … to of a line that lie within the picture's circle. */
export function withinCircle({ rows, cols, circle }: Plane, r: number): [from: number, to: number] {
  const half = Math.sqrt(circle.radius ** 2 - (circle.row - r) ** 2);
  if (Number.isNaN(half) || r >= rows) return [0, 0];
  const from = Math.max(0, Math.ceil(circle.col - half));
  return [from, Math.max(from, Math.min(cols, Math.floor(circle.col + half) + 1))];
}

function plainForwardKernel({ plane, cols }: ForwardOptions): ForwardKernel {
  const width = plane.cols;
  const height = plane.rows;
  const picture = new Float32Array(width * height);
  const sums = new Float64Array(cols);
  return {
    load(from) {
      for (let r = 0; r < height; r++) {
        const [first, last] = withinCircle(plane, r);
        picture.fill(0, r * width, (r + 1) * width);
        picture.set(from.subarray(r * width + first, r * width + last), r * width + first);
      }
    },
    project(view, into) {
      const { turned, start, step, down, length } = crossing(plane, view);
      const [lines, long, apart, next] = turned ? [width, height, 1, width] : [height, width, width, 1];
      sums.fill(0);
      for (let r = 0; r < lines; r++) {
        for (let t = 0; t < cols; t++) {
          const u = start + t * step + r * down;
          const i = Math.floor(u);
          if (i < -1 || i >= long) continue;
          const a = i < 0 ? 0 : picture[r * apart + i * next]!;
          const b = i + 1 >= long ? 0 : picture[r * apart + (i + 1) * next]!;
          sums[t]! += a + (u - i) * (b - a);
        }
      }
      for (let t = 0; t < cols; t++) into[t] = length * sums[t]!;
    },
  };
}
