import type { Samples } from "./branch.ts";
import type { CurveFit } from "./curve-fit.ts";

/**
 * Curves and their fits as few points, each the mean of neighbouring samples: what the page draws behind a pixel, at a
 * fraction of the curve's size. Takes curves of one batch, one after another.
 */
export class FitPoints {
  readonly #most: number;
  readonly #offsets: Int32Array;
  readonly #indentation_m: Float32Array;
  readonly #force_N: Float32Array;
  readonly #fit_N: Float32Array;
  #curves = 0;

  constructor(most: number, curves: number) {
    this.#most = most;
    this.#offsets = new Int32Array(curves + 1);
    this.#indentation_m = new Float32Array(most * curves);
    this.#force_N = new Float32Array(most * curves);
    this.#fit_N = new Float32Array(most * curves);
  }

  add({ tip_m: x, force_N: f, length: n }: Samples, fit: CurveFit): void {
    const contact_m = fit.estimate.contact_m;
    const points = Math.min(this.#most, n);
    const from = this.#offsets[this.#curves]!;
    for (let p = 0, i = 0; p < points; p++) {
      const begin = i;
      const end = Math.floor(((p + 1) * n) / points);
      let [d, force, model] = [0, 0, 0];
      for (; i < end; i++) {
        d += contact_m - x[i]!;
        force += f[i]! - fit.baselineAt(i);
        model += fit.forceAt(i);
      }
      const count = end - begin;
      this.#indentation_m[from + p] = d / count;
      this.#force_N[from + p] = force / count;
      this.#fit_N[from + p] = model / count;
    }
    this.#offsets[++this.#curves] = from + points;
  }

  columns() {
    const offsets = this.#offsets.subarray(0, this.#curves + 1);
    const end = offsets[this.#curves]!;
    return {
      indentation: { values: this.#indentation_m.subarray(0, end), offsets },
      force: { values: this.#force_N.subarray(0, end), offsets },
      fit: { values: this.#fit_N.subarray(0, end), offsets },
    };
  }
}
