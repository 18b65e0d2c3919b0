import {
  choice, code, curve, defineOperator, quantity, scalar, WiringError, type ConfigOf,
} from "../../runtime/index.ts"; // prettier-ignore
import { saderSpringConstant } from "./sader.ts";
import { meanSquare, relativeError, thermalResonance, type Resonance } from "./thermal.ts";

/**
 * Spring constant and deflection sensitivity of a lever from the spectrum of its thermal motion.
 *
 *     k s² = β k_B T/P,   P = π/2 f₀ Q A²          (thermal.ts)
 *
 *     k  spring constant         [N/m]    P  mean square of the first mode  [V2]    T  temperature  [K]
 *     s  deflection sensitivity  [m/V]    β  what the first mode and the bending of a free lever make of it  [1]
 *
 * thermal        s is given (from a ramp on a hard spot), k follows
 * contact-free   k is given, s follows: no touching of a surface that shall stay as it is (Higgins et al.)
 * sader          k from the lever's width and length and the fluid that damps it (sader.ts), then s
 * gci            k = C Q f₀^1.3 with C of the lever's kind [N/m/kHz^1.3], then s
 *
 * β differs between programs, so it is a choice, and stands in the metadata: `rectangular` 0.817 = 0.971/1.09²: first mode only,
 * and s measured by pressing, while a free lever bends otherwise; `v-shaped` 0.764; `first-mode` 0.971, where s is that of the
 * free lever; `point-mass` 1, equipartition alone; or `correction` as a number. (JPK's "correction factor" 0.9 for its PF-QNM
 * levers is this number.)
 *
 * Standard errors are of the noise in the spectrum, and of the given constant where its own relative error is given; of
 * what is given without one there is none, NaN. The error of a method itself (Sader and GCI some 10 %) is not in them.
 * A spectrum without a resonance is a row with NaN, and `valid` says why.
 *
 * Reference: Butt & Jaschke, Nanotechnology 6, 1 (1995); Sader, Chon & Mulvaney, Rev. Sci. Instrum. 70, 3967 (1999);
 * Higgins et al., Rev. Sci. Instrum. 77, 013701 (2006); Sader et al., Rev. Sci. Instrum. 87, 093711 (2016).
 */
export interface Calibration {
  springConstant_N_per_m: number;
  springConstant_se_N_per_m: number;
  sensitivity_m_per_V: number;
  sensitivity_se_m_per_V: number;
}

const BOLTZMANN_J_per_K = 1.380649e-23;

export function calibrate(resonance: Resonance, temperature_K: number, options: Config): Calibration {
  const { method } = options;
  const stiffness = (betaOf(options) * BOLTZMANN_J_per_K * temperature_K) / meanSquare(resonance).power_V2; // k s² [N m/V2]
  if (method === "thermal") {
    const s = options.deflection_sensitivity;
    const ofGiven = Number.isNaN(options.sensitivity_error) ? 0 : options.sensitivity_error;
    const k = stiffness / (s * s);
    return {
      springConstant_N_per_m: k,
      springConstant_se_N_per_m: k * Math.hypot(meanSquare(resonance).relative_se, 2 * ofGiven),
      sensitivity_m_per_V: s,
      sensitivity_se_m_per_V: s * options.sensitivity_error,
    };
  }
  if (method === "contact-free") {
    const k = options.spring_constant;
    const ofGiven = Number.isNaN(options.spring_constant_error) ? 0 : options.spring_constant_error;
    const s = Math.sqrt(stiffness / k);
    return {
      springConstant_N_per_m: k,
      springConstant_se_N_per_m: k * options.spring_constant_error,
      sensitivity_m_per_V: s,
      sensitivity_se_m_per_V: (s / 2) * Math.hypot(meanSquare(resonance).relative_se, ofGiven),
    };
  }
  const of = (frequency_Hz: number): number => method === "gci" ? byKind(resonance, frequency_Hz, options) : byFluid(resonance, frequency_Hz, options); // prettier-ignore
  const { frequency_Hz } = resonance;
  const k = of(frequency_Hz);
  const step = 1e-4;
  const perFrequency = Math.log(of(frequency_Hz * (1 + step)) / of(frequency_Hz * (1 - step))) / (2 * step);
  const s = Math.sqrt(stiffness / k);
  return {
    springConstant_N_per_m: k,
    springConstant_se_N_per_m: k * relativeError(resonance, [0, 0, perFrequency, 1]),
    sensitivity_m_per_V: s,
    // Q and f₀ are in k and in P: s goes as (k A² f₀ Q)^(-1/2)
    sensitivity_se_m_per_V: (s / 2) * relativeError(resonance, [0, 1, perFrequency + 1, 2]),
  };
}

function byFluid({ qualityFactor }: Resonance, frequency_Hz: number, options: Config): number {
  const plan = { width_m: options.lever_width, length_m: options.lever_length };
  const fluid = { density_kg_per_m3: options.fluid_density, viscosity_Pa_s: options.fluid_viscosity };
  return saderSpringConstant(plan, fluid, frequency_Hz, qualityFactor);
}

function byKind({ qualityFactor }: Resonance, frequency_Hz: number, { gci_coefficient }: Config): number {
  return gci_coefficient * qualityFactor * (frequency_Hz / 1000) ** 1.3;
}

const METHODS = ["thermal", "contact-free", "sader", "gci"] as const;
const BETA = { rectangular: 0.817, "v-shaped": 0.764, "first-mode": 0.971, "point-mass": 1 } as const;

const CONFIG = {
  method: choice(METHODS, "thermal", {
    doc: "what is known beside the spectrum: `thermal` the sensitivity, `contact-free` the spring constant, `sader` lever and fluid, `gci` the kind of lever",
  }),
  deflection_sensitivity: quantity("m/V", NaN, { min: 1e-12, doc: "of thermal: from a ramp on a hard spot" }),
  sensitivity_error: quantity("1", NaN, { min: 0, doc: "its relative standard error, such as 0.03" }),
  spring_constant: quantity("N/m", NaN, { min: 1e-6, doc: "of contact-free" }),
  spring_constant_error: quantity("1", NaN, { min: 0, doc: "its relative standard error, such as 0.1" }),
  lever_width: quantity("m", NaN, { min: 1e-7, doc: "of sader: of a rectangular lever" }),
  lever_length: quantity("m", NaN, { min: 1e-6, doc: "of sader" }),
  fluid_density: quantity("kg/m3", NaN, { min: 1e-3, doc: "of sader: such as 1.18 kg/m3 (air), 997 kg/m3 (water)" }), // prettier-ignore
  fluid_viscosity: quantity("Pa.s", NaN, { min: 1e-6, doc: "of sader: such as 18.5 uPa.s (air), 890 uPa.s (water)" }), // prettier-ignore
  gci_coefficient: quantity("1", NaN, { min: 1e-12, doc: "of gci: C in N/m/kHz^1.3, for this kind of lever" }), // prettier-ignore
  convention: choice(Object.keys(BETA) as (keyof typeof BETA)[], "rectangular", { doc: "factor β on k_B T: rectangular 0.817, v-shaped 0.764, first-mode 0.971, point-mass 1" }), // prettier-ignore
  correction: quantity("1", NaN, { min: 0.1, max: 2, doc: "β itself, in place of a convention" }),
  temperature: quantity("K", 298.15, { min: 1, doc: "where the spectrum does not say, such as 25 Cel" }),
  from: quantity("Hz", NaN, {
    min: 0,
    doc: "lower limit of the fit; if not given, found from the resonance",
  }),
  to: quantity("Hz", NaN, { min: 0, doc: "upper limit of the fit" }),
} as const;
type Config = ConfigOf<typeof CONFIG>;

const NEEDED: Record<(typeof METHODS)[number], readonly (keyof Config & string)[]> = {
  thermal: ["deflection_sensitivity"],
  "contact-free": ["spring_constant"],
  sader: ["lever_width", "lever_length", "fluid_density", "fluid_viscosity"],
  gci: ["gci_coefficient"],
};

const betaOf = ({ convention, correction }: Config): number => Number.isNaN(correction) ? BETA[convention] : correction; // prettier-ignore

const FITTED = 0, FEW_SAMPLES = 1, NO_RESONANCE = 2; // prettier-ignore
const REASONS = {
  [FITTED]: "calibrated",
  [FEW_SAMPLES]: "too few frequencies with a power above zero",
  [NO_RESONANCE]: "no resonance that stands out",
};
const LEAST_SAMPLES = 32;

export const calibration = defineOperator({
  name: "mechanics/calibration",
  doc: "Spring constant and deflection sensitivity of a lever from its thermal spectrum: by equipartition, Sader's method, or both.",
  input: {
    spectra: {
      frequency: curve("Hz"),
      power: curve("V2/Hz"),
      temperature: scalar("K", { optional: true }),
      averages: scalar("1", { optional: true }),
    },
  },
  output: (_, config) => {
    for (const option of NEEDED[config.method]) {
      if (Number.isNaN(config[option] as number))
        throw new WiringError(`${option} must be given for ${config.method}: ${CONFIG[option].doc}`);
    }
    if (config.from >= config.to) throw new WiringError(`from, ${config.from} Hz, must be below to, ${config.to} Hz`); // prettier-ignore
    return {
      calibration: {
        spring_constant: scalar("N/m", { uncertainty: "spring_constant_se" }),
        spring_constant_se: scalar("N/m"),
        deflection_sensitivity: scalar("m/V", { uncertainty: "deflection_sensitivity_se" }),
        deflection_sensitivity_se: scalar("m/V"),
        resonance_frequency: scalar("Hz", { uncertainty: "resonance_frequency_se" }),
        resonance_frequency_se: scalar("Hz"),
        quality_factor: scalar("1", { uncertainty: "quality_factor_se" }),
        quality_factor_se: scalar("1"),
        white_noise: scalar("V2/Hz", { uncertainty: "white_noise_se", doc: "of the detector" }),
        white_noise_se: scalar("V2/Hz"),
        mean_square: scalar("V2", { uncertainty: "mean_square_se", doc: "of the first mode's motion" }),
        mean_square_se: scalar("V2"),
        temperature: scalar("K"),
        dispersion: scalar("1", {
          doc: "variance of power/fit: 1/averages where the model is right, more where it is not",
        }),
        samples: scalar("1", { doc: "frequencies that were fitted" }),
        method: code({ codes: Object.fromEntries(METHODS.map((name, i) => [i, name])) }),
        valid: code({ codes: REASONS, doc: "0 where calibrated, else why not" }),
      },
    };
  },
  metadata: ({ spectra }, config) => ({
    calibration: {
      ...spectra?.metadata,
      method: config.method,
      correction: `${betaOf(config)}${Number.isNaN(config.correction) ? ` (${config.convention})` : ""}`,
      ...Object.fromEntries(
        NEEDED[config.method].map((option) => [option, `${config[option]} ${CONFIG[option].unit}`]),
      ),
    },
  }),
  config: CONFIG,
  key: "row",
  start(config) {
    const method = METHODS.indexOf(config.method);
    return {
      step({ spectra }, out) {
        for (let i = 0; i < spectra.length; i++) {
          const { time, frequency, power, temperature = NaN, averages = NaN } = spectra.at(i);
          const temperature_K = temperature > 0 ? temperature : config.temperature;
          const n = Math.min(frequency.length, power.length);
          let usable = 0;
          for (let j = 0; j < n; j++)
            if (frequency[j]! > 0 && power[j]! > 0 && power[j]! < Infinity) usable++;
          const resonance =
            usable < LEAST_SAMPLES
              ? undefined
              : thermalResonance(frequency, power, { averages, from_Hz: config.from, to_Hz: config.to });
          const valid = resonance ? FITTED : usable < LEAST_SAMPLES ? FEW_SAMPLES : NO_RESONANCE;
          out.calibration.add({ time, ...described(resonance, temperature_K, config), temperature: temperature_K, method, valid }); // prettier-ignore
        }
      },
    };
  },
});

const NOTHING = {
  spring_constant: NaN, spring_constant_se: NaN, deflection_sensitivity: NaN, deflection_sensitivity_se: NaN,
  resonance_frequency: NaN, resonance_frequency_se: NaN, quality_factor: NaN, quality_factor_se: NaN,
  white_noise: NaN, white_noise_se: NaN, mean_square: NaN, mean_square_se: NaN, dispersion: NaN, samples: 0,
}; // prettier-ignore

function described(resonance: Resonance | undefined, temperature_K: number, config: Config): typeof NOTHING {
  if (!resonance) return NOTHING;
  const found = calibrate(resonance, temperature_K, config);
  const { power_V2, relative_se } = meanSquare(resonance);
  const error = (which: number): number => Math.sqrt(resonance.covariance[5 * which]!);
  return {
    spring_constant: found.springConstant_N_per_m,
    spring_constant_se: found.springConstant_se_N_per_m,
    deflection_sensitivity: found.sensitivity_m_per_V,
    deflection_sensitivity_se: found.sensitivity_se_m_per_V,
    resonance_frequency: resonance.frequency_Hz,
    resonance_frequency_se: resonance.frequency_Hz * error(2),
    quality_factor: resonance.qualityFactor,
    quality_factor_se: resonance.qualityFactor * error(3),
    white_noise: resonance.whiteNoise_V2_per_Hz,
    white_noise_se: resonance.whiteNoise_V2_per_Hz * error(0),
    mean_square: power_V2,
    mean_square_se: power_V2 * relative_se,
    dispersion: resonance.dispersion,
    samples: resonance.samples,
  };
}
