import {
  defineOperator, image, quantity, REQUIRED, WiringError, type ConfigOf, type Field, type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import { carriedBeside } from "../image/frame-columns.ts";

/**
 * Young's modulus, indentation and loss tangent from two modes of one lever: the first with its amplitude kept (AM), the
 * second with its frequency tracked (FM).
 *
 *     K = 2 k₂ Δf₂/f₂                    gradient of the contact, mean over a cycle of mode 1        [N/m]
 *     Φ = k₁ A₀ cos φ₁/(2 Q₁)            its force in phase with mode 1, mean of F cos               [N]
 *     K = E* δ √(R/(2 A₁)),   Φ = E* δ² √(R/(8 A₁))        Hertz, A₁ ≫ δ
 *     δ = 2 Φ/K,   E* = K² √(2 A₁/R)/(2 Φ)
 *     1/E* = (1 - ν²)/E + (1 - ν_t²)/E_t
 *     tan θ = (a r - sin φ₁)/(Q₁ a (1 - r²) - cos φ₁),   a = A₁/A₀,   r = f_drive/f₁
 *
 *     A₁, φ₁  amplitude [m] and phase of mode 1, 90° when free at resonance, less when pushed    A₀  its free amplitude    [m]
 *     Δf₂     shift of mode 2 [Hz]                                                               k₁, k₂  of the modes       [N/m]
 *     f₁, f₂  resonance frequencies [Hz]    Q₁  quality factor                                    R, δ   tip, indentation   [m]
 *
 * A pixel that pulls on balance (φ₁ at or over 90°) or whose second mode goes down has no Hertz contact: NaN, and `valid` says
 * so. Where δ is over `max_indentation_ratio` of A₁, the mean over the cycle is no longer that of a parabola's top: the values stand, but are
 * flagged. At a tenth E* comes out 2.6 % too large and δ 1.9 % too small, at a hundredth a tenth of that.
 *
 * `data_se` is of the noise per pixel that the options name (amplitude, phase, frequency), independent of each other; k₁, k₂, Q₁, A₀, R
 * are shared by all pixels and are not in it. Frames go together that have the same time and direction.
 *
 * Reference: Garcia & Proksch, Eur. Polym. J. 49, 1897 (2013); Labuda et al., Beilstein J. Nanotechnol. 7, 970 (2016);
 * loss tangent: Proksch & Yablon, Appl. Phys. Lett. 100, 073106 (2012), without the second order.
 */
export interface BimodalPixel {
  modulus_Pa: number;
  modulus_se_Pa: number;
  indentation_m: number;
  indentation_se_m: number;
  lossTangent: number;
  lossTangent_se: number;
  valid: number;
}

const FITTED = 0, MISSING = 1, NOT_PUSHED = 2, DEEP = 3, STIFFER_THAN_TIP = 4; // prettier-ignore
const REASONS = {
  [FITTED]: "computed",
  [MISSING]: "not measured",
  [NOT_PUSHED]: "no contact that pushes: phase at or over 90°, or no rise of the second mode",
  [DEEP]: "computed, but the indentation is not small beside the amplitude",
  [STIFFER_THAN_TIP]: "at least as stiff as the tip",
};

/** Fills `out` for one pixel. */
export function bimodalPixel(
  amplitude_m: number,
  phase_deg: number,
  shift_Hz: number,
  c: Config,
  out: BimodalPixel,
): void {
  out.modulus_Pa = out.modulus_se_Pa = out.indentation_m = out.indentation_se_m = NaN;
  out.lossTangent = out.lossTangent_se = NaN;
  const phase = ((phase_deg + c.phase_offset) * Math.PI) / 180;
  const sin = Math.sin(phase);
  const cos = Math.cos(phase);
  const phaseNoise = (c.phase_noise * Math.PI) / 180;
  if (!(amplitude_m > 0) || Number.isNaN(phase + shift_Hz)) {
    out.valid = MISSING;
    return;
  }
  const a = amplitude_m / c.free_amplitude;
  const r = Number.isNaN(c.drive_frequency) ? 1 : c.drive_frequency / c.frequency_1;
  const [above, below] = [a * r - sin, c.quality_factor_1 * a * (1 - r * r) - cos];
  const perRatio = (r * below - above * c.quality_factor_1 * (1 - r * r)) / (below * below);
  const perPhase = (-cos * below - above * sin) / (below * below);
  out.lossTangent = above / below;
  out.lossTangent_se = Math.hypot((perRatio * c.amplitude_noise) / c.free_amplitude, perPhase * phaseNoise);

  const K = (2 * c.spring_constant_2 * shift_Hz) / c.frequency_2;
  const force = (c.spring_constant_1 * c.free_amplitude * cos) / (2 * c.quality_factor_1);
  if (!(K > 0 && cos > 1e-9)) {
    out.valid = NOT_PUSHED;
    return;
  }
  const depth = (2 * force) / K;
  const ofShift = c.frequency_noise / shift_Hz;
  const ofPhase = (sin / cos) * phaseNoise;
  out.indentation_m = depth;
  out.indentation_se_m = depth * Math.hypot(ofShift, ofPhase);
  const reduced = (K * K * Math.sqrt((2 * amplitude_m) / c.tip_radius)) / (2 * force);
  const compliance = 1 / reduced - (1 - c.tip_poisson_ratio ** 2) / c.tip_modulus;
  if (!(compliance > 0)) {
    out.valid = STIFFER_THAN_TIP;
    return;
  }
  const plane = 1 - c.poisson_ratio ** 2;
  const E = plane / compliance;
  out.modulus_Pa = E;
  // dE/E = E/((1 - ν²) E*) dE*/E*
  out.modulus_se_Pa = ((E * E) / (plane * reduced)) * Math.hypot(2 * ofShift, ofPhase, c.amplitude_noise / (2 * amplitude_m)); // prettier-ignore
  out.valid = depth > c.max_indentation_ratio * amplitude_m ? DEEP : FITTED;
}

const CONFIG = {
  spring_constant_1: quantity("N/m", REQUIRED, { min: 1e-3, doc: "of the first mode" }),
  spring_constant_2: quantity("N/m", REQUIRED, { min: 1e-3, doc: "of the second mode: some 40 times that of the first" }), // prettier-ignore
  quality_factor_1: quantity("1", REQUIRED, { min: 0.1, doc: "of the first mode" }),
  frequency_1: quantity("Hz", NaN, { min: 1, doc: "resonance of the first mode; needed where drive_frequency is given" }), // prettier-ignore
  frequency_2: quantity("Hz", REQUIRED, { min: 1, doc: "resonance of the second mode, free" }),
  drive_frequency: quantity("Hz", NaN, { min: 1, doc: "of the first mode; if not given, its resonance" }),
  free_amplitude: quantity("m", REQUIRED, { min: 1e-12, doc: "of the first mode, away from the sample, such as 100 nm" }), // prettier-ignore
  phase_offset: quantity("deg", 0, { doc: "added to the phase, so that it is 90° when free at resonance" }),
  tip_radius: quantity("m", REQUIRED, { min: 1e-10, doc: "radius of curvature at the apex, such as 10 nm" }),
  poisson_ratio: quantity("1", 0.5, { min: -0.99, max: 0.5, doc: "of the sample" }),
  tip_modulus: quantity("Pa", Infinity, { min: 1, doc: "Young's modulus of the tip, such as 165 GPa (silicon)" }), // prettier-ignore
  tip_poisson_ratio: quantity("1", 0.27, { min: -0.99, max: 0.5, doc: "of the tip" }),
  max_indentation_ratio: quantity("1", 0.1, { min: 0, doc: "indentation over amplitude; pixels above are flagged" }), // prettier-ignore
  amplitude_noise: quantity("m", NaN, { min: 0, doc: "standard deviation of a pixel; with the other two given, each map has its `data_se`" }), // prettier-ignore
  phase_noise: quantity("deg", NaN, { min: 0 }),
  frequency_noise: quantity("Hz", NaN, { min: 0 }),
} as const;
type Config = ConfigOf<typeof CONFIG>;

const INPUTS = ["amplitude", "phase", "frequency_shift"] as const;

export const bimodal = defineOperator({
  name: "mechanics/bimodal",
  doc: "Young's modulus, indentation and loss tangent of each pixel from bimodal (AM-FM) images of amplitude, phase and frequency shift.",
  input: {
    amplitude: { data: image("m") },
    phase: { data: image("deg") },
    frequency_shift: { data: image("Hz") },
  },
  output: (inputs, config) => {
    const shape = sameShape(inputs);
    const noises = [config.amplitude_noise, config.phase_noise, config.frequency_noise];
    const noisy = !noises.some(Number.isNaN);
    if (!noisy && !noises.every(Number.isNaN))
      throw new WiringError("amplitude_noise, phase_noise and frequency_noise go together: give all three, or none"); // prettier-ignore
    if (!Number.isNaN(config.drive_frequency) && Number.isNaN(config.frequency_1))
      throw new WiringError("frequency_1 must be given with drive_frequency: their ratio counts");
    const beside = Object.fromEntries(carriedBeside(inputs.amplitude, OWN));
    const map = (unit: string, long_name: string, more: Fields = {}): Fields => ({
      data: image(unit, { shape, long_name, ...(noisy && { uncertainty: "data_se" }) }),
      ...(noisy && { data_se: image(unit, { shape }) }),
      ...more,
      ...beside,
    });
    const valid = image("", { type: "u8", shape, codes: REASONS, doc: "0 where the modulus stands, else why not" }); // prettier-ignore
    return {
      modulus: map("Pa", "Young's modulus", { valid }),
      indentation: map("m", "indentation"),
      loss_tangent: map("1", "loss tangent"),
    } as Record<string, Fields>;
  },
  metadata: ({ amplitude }, config) => {
    const { poisson_ratio, tip_radius, tip_modulus } = config;
    const all = {
      ...amplitude?.metadata,
      model: "hertz-paraboloid, bimodal AM-FM",
      tip_radius: `${tip_radius} m`,
      poisson_ratio: `${poisson_ratio}`,
      tip_modulus: `${tip_modulus} Pa`,
    };
    return { modulus: all, indentation: all, loss_tangent: all };
  },
  config: CONFIG,
  start(config, { inputs }) {
    const size = sameShape({
      amplitude: inputs.amplitude.fields,
      phase: inputs.phase.fields,
      frequency_shift: inputs.frequency_shift.fields,
    }).reduce<number>((n, of) => n * (of as number), 1);
    const beside = carriedBeside(inputs.amplitude.fields, OWN).map(([name]) => name);
    const maps = {
      modulus: new Float32Array(size), modulus_se: new Float32Array(size), indentation: new Float32Array(size),
      indentation_se: new Float32Array(size), loss: new Float32Array(size), loss_se: new Float32Array(size), valid: new Uint8Array(size),
    }; // prettier-ignore
    const pixel = {} as BimodalPixel;

    const compute = (amplitude: Float32Array, phase: Float32Array, shift: Float32Array): void => {
      for (let i = 0; i < size; i++) {
        bimodalPixel(amplitude[i]!, phase[i]!, shift[i]!, config, pixel);
        maps.modulus[i] = pixel.modulus_Pa;
        maps.modulus_se[i] = pixel.modulus_se_Pa;
        maps.indentation[i] = pixel.indentation_m;
        maps.indentation_se[i] = pixel.indentation_se_m;
        maps.loss[i] = pixel.lossTangent;
        maps.loss_se[i] = pixel.lossTangent_se;
        maps.valid[i] = pixel.valid;
      }
    };

    return {
      step(given, out) {
        const ports = given as unknown as Record<(typeof INPUTS)[number], Rows<Fields>>;
        const writers = out as unknown as Record<string, { add(row: object): void }>;
        // Frames of one time come in one step, so nothing is held.
        const [amplitudes, phases, shifts] = INPUTS.map((port) => framesOf(ports[port]));
        for (const [key, row] of amplitudes!) {
          const { time, seconds, data } = row;
          const [phase, shift] = [phases!.get(key), shifts!.get(key)];
          if (!phase || !shift) {
            const lacking = phase ? "frequency_shift" : shift ? "phase" : "phase and no frequency_shift";
            out.fault(seconds, `amplitude has no ${lacking} of its time and direction; record all three channels in one scan`); // prettier-ignore
            continue;
          }
          compute(data, phase.data, shift.data);
          const passed = { ...Object.fromEntries(beside.map((name) => [name, row[name]])), time };
          writers["modulus"]!.add({ ...passed, data: maps.modulus, data_se: maps.modulus_se, valid: maps.valid }); // prettier-ignore
          writers["indentation"]!.add({ ...passed, data: maps.indentation, data_se: maps.indentation_se });
          writers["loss_tangent"]!.add({ ...passed, data: maps.loss, data_se: maps.loss_se });
        }
        for (const [i, frames] of [phases!, shifts!].entries())
          for (const [key, { seconds }] of frames)
            if (!amplitudes!.has(key))
              out.fault(seconds, `${INPUTS[i + 1]} has no amplitude of its time and direction; record all three channels in one scan`); // prettier-ignore
      },
    };
  },
});

const OWN = ["data", "data_se", "valid"];

interface Frame {
  readonly time: bigint;
  readonly seconds: number;
  readonly data: Float32Array;
  readonly [name: string]: unknown;
}

/** By time, direction, and number among frames of both. */
function framesOf(rows: Rows<Fields>): Map<string, Frame> {
  const frames = new Map<string, Frame>();
  for (let i = 0; i < rows.length; i++) {
    const row = rows.at(i) as unknown as Frame;
    const key = `${row.time} ${(row["direction"] as number | undefined) ?? 0}`;
    let number = 0;
    while (frames.has(`${key} ${number}`)) number++;
    frames.set(`${key} ${number}`, row);
  }
  return frames;
}

function sameShape(inputs: Readonly<Record<string, Fields>>): NonNullable<Field["shape"]> {
  const [first, ...rest] = INPUTS.map((port) => inputs[port]!["data"]!.shape ?? []);
  rest.forEach((shape, i) => {
    const differs = shape.some(
      (n, j) => typeof n === "number" && typeof first![j] === "number" && n !== first![j],
    );
    if (differs)
      throw new WiringError(`${INPUTS[i + 1]} is ${shape.join(" × ")} but amplitude is ${first!.join(" × ")}; all three are of one scan`); // prettier-ignore
  });
  return first!;
}
