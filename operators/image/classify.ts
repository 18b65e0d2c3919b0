import { MISSING, NEAR, OTHER, PHASE } from "./connected-components.ts";
import type { PixelSpans } from "./pixel-spans.ts";

export interface ClassifyOptions {
  readonly cols: number;
  readonly spans: PixelSpans;
  readonly threshold: number;
  readonly above: boolean;
  /** Of every pixel; not read where `variance` is there. */
  readonly noise: number;
  readonly variance: Float32Array | undefined;
  /** Half width of the band, in standard deviations of a pixel. */
  readonly band: number;
}

export interface Classified {
  /** Pixels that have a value, those in the phase, and those with none. */
  pixels: number;
  phase: number;
  missing: number;
  /** Pixels in the phase if the threshold were `band` standard deviations lower, or higher. */
  lower: number;
  higher: number;
  /** Pixels no further than half a standard deviation from the threshold. */
  near: number;
  /** Sides of pixels between the two classes. */
  interface: number;
  /** Mean of the variance over the pixels. */
  variance: number;
}

/** Where there is no pixel, or none with a value, as the class of a neighbour. */
const NONE = 128;

/**
 * Which pixels are in the phase: below the threshold, or at and above it. Writes OTHER, PHASE, NEAR or MISSING for
 * each pixel of the picture.
 */
export function classify(data: Float32Array, classes: Uint8Array, options: ClassifyOptions): Classified {
  const { cols, spans, threshold, above, variance, band } = options;
  const { first, end } = spans;
  const [missingClass, nearClass] = [MISSING, NEAR];
  const inside = above ? OTHER : PHASE; // of a pixel below the threshold
  const sigmas = Math.max(band, 0.5);
  let noise = Number.isNaN(options.noise) ? 0 : options.noise;
  let reach = sigmas * noise; // further from the threshold, nothing else is to be known of a pixel
  // Of pixels below the threshold those within the band, and of those above it.
  let [within, beyond] = [0, 0];
  let [pixels, phase, missing, near, sides, sum] = [0, 0, 0, 0, 0, 0];
  classes.fill(missingClass);
  for (let y = 0; y < first.length; y++) {
    const from = y * cols + first[y]!;
    const to = y * cols + end[y]!;
    let left = NONE;
    let gaps = 0;
    for (let i = from; i < to; i++) {
      const v = data[i]!;
      if (v - v !== 0) {
        gaps++;
        left = NONE;
        continue;
      }
      const is = v < threshold ? inside : inside ^ 1;
      const distance = Math.abs(v - threshold);
      if (variance) {
        const squared = variance[i]!;
        noise = squared > 0 ? Math.sqrt(squared) : 0; // NaN is not known
        sum += noise * noise;
        reach = sigmas * noise;
      }
      phase += is;
      classes[i] = is;
      if (distance <= reach) {
        if (v < threshold) {
          if (v >= threshold - band * noise) within++;
        } else if (v < threshold + band * noise) beyond++;
        if (distance < noise / 2) {
          near++;
          classes[i] = is * nearClass;
        }
      }
      // Without a branch: 1 where this pixel and its neighbour are of two classes, neither NONE nor MISSING.
      const across = left ^ is;
      left = is;
      const down = y > 0 ? ((classes[i - cols]! + 1) >> 1) ^ is : 0;
      sides += (across & ~(across >> 7) & 1) + (down & ~(down >> 7) & 1);
    }
    missing += gaps;
    pixels += to - from - gaps;
  }
  const below = above ? pixels - phase : phase;
  const [lower, higher] = [below - within, below + beyond];
  return {
    pixels, phase, missing, near, interface: sides, variance: sum / pixels,
    lower: above ? pixels - lower : lower,
    higher: above ? pixels - higher : higher,
  };
} // prettier-ignore

/** Pixels in the phase, near the threshold or not, become the same: 1, with 0 for others and 255 for missing. */
export function withoutNear(classes: Uint32Array): void {
  for (let i = 0; i < classes.length; i++) {
    const four = classes[i]!;
    const near = four & 0x02020202 & ~((four & 0x80808080) >>> 6);
    classes[i] = (four ^ near) | (near >>> 1);
  }
}
