import { choice, code, curve, defineOperator, flag, integer, quantity, scalar } from "../../runtime/index.ts";
import { kramersKronig, type KramersKronig } from "./kramers-kronig.ts";
import { atOneInstant, highFrequencyIntercept, middleOf, spectrumOf, type Spectrum } from "./spectrum.ts";
import { LEAST_POINTS, voigtArcs, type Arc } from "./voigt-arcs.ts";

/**
 * What is read from an impedance spectrum: one row of `spectra` for each.
 *
 *     series_resistance            R where the spectrum crosses the real axis at high frequency; where it does not
 *                                  reach it, the limit of the fitted RC elements (spectrum.ts, voigt-arcs.ts)
 *     low_frequency_resistance     Z' at the lowest frequency
 *     charge_transfer_resistance   diameter of the largest arc, with its apex, time constant and capacitance (voigt-arcs.ts)
 *     residual_…                   of the linear Kramers-Kronig test (kramers-kronig.ts), in % of |Z|
 *     residual_correlation         of neighbouring residuals: near 0 for noise, near 1 where something is not met
 *
 * Standard errors come from the residual: of the Kramers-Kronig test for what is read off the spectrum, of the RC elements
 * for the arc. They count noise, not what is systematic (cables, the reference electrode).
 *
 * A spectrum lasts minutes, and a cell that changes meanwhile fails the test. With `drift_correction: interpolate`, each is
 * put together as of the middle of its time, from itself and the one before it of the same electrode (spectrum.ts); the
 * row is then of that, `corrected` has it, and `drift` says how large the correction was (rms, in % of |Z|).
 *
 * `fit` has the points that count, from high to low frequency, what the test makes of them, and the residuals.
 */
const FEW = 1, MANY = 2, NOT_MET = 3, LOOP = 4, NO_ELEMENTS = 5; // prettier-ignore
const UNKNOWN = -1, CROSSED = 0, EXTRAPOLATED = 1; // prettier-ignore
const NO_ARC = -1, WHOLE = 0, OPEN = 1; // prettier-ignore
/** At this share of the apex' frequency an arc is 96 % done. */
const DONE = 0.2;
/** Elements that miss more than the test does, by so much, are not what is there: nothing is told from them. */
const MISSES = 3;
/** An end that is above the real axis by so many times the noise is inductive. */
const LOOP_NOISES = 3;
const MOST_POINTS = 1024;
const MOST_ELECTRODES = 8;
const PERCENT = 100;

const ELECTRODES = { 0: "cell or working electrode", 1: "counter electrode", 2: "between both" };
const which = { index: code({ doc: "number of the spectrum" }), electrode: code({ codes: ELECTRODES }) };

const outputs = {
  spectra: {
    ...which,
    valid: code({
      codes: {
        0: "valid",
        [FEW]: `fewer than ${LEAST_POINTS} frequencies`,
        [MANY]: `more than ${MOST_POINTS} frequencies`,
        [NOT_MET]: "it fails the Kramers-Kronig test: not steady, not linear, or noisy",
        [LOOP]: "inductive at its low-frequency end: the arc is of what lies before",
        [NO_ELEMENTS]: "RC elements cannot make it up: no arc is told",
      },
    }),
    corrected: code({ codes: { 0: "as measured", 1: "as of the middle of its time" } }),
    drift: scalar("%", { doc: "rms of the correction, in shares of |Z|; NaN where there was nothing to correct by" }),
    points: scalar("1", { doc: "frequencies that count" }),
    lowest_frequency: scalar("Hz"),
    highest_frequency: scalar("Hz"),
    duration: scalar("s", { doc: "from the first to the last frequency" }),
    series_resistance: scalar("Ohm", { uncertainty: "series_resistance_se", doc: "at the high-frequency intercept" }),
    series_resistance_se: scalar("Ohm"),
    series_resistance_by: code({
      codes: { [UNKNOWN]: "not known", [CROSSED]: "interpolated where it crosses the real axis", [EXTRAPOLATED]: "extrapolated: it does not reach the real axis" },
    }),
    low_frequency_resistance: scalar("Ohm", { uncertainty: "low_frequency_resistance_se", doc: "real part at the lowest frequency" }),
    low_frequency_resistance_se: scalar("Ohm"),
    charge_transfer_resistance: scalar("Ohm", { uncertainty: "charge_transfer_resistance_se", doc: "diameter of the largest arc" }),
    charge_transfer_resistance_se: scalar("Ohm"),
    apex_frequency: scalar("Hz", { uncertainty: "apex_frequency_se", doc: "of the same arc" }),
    apex_frequency_se: scalar("Hz"),
    time_constant: scalar("s", { uncertainty: "time_constant_se" }),
    time_constant_se: scalar("s"),
    capacitance: scalar("F", { uncertainty: "capacitance_se" }),
    capacitance_se: scalar("F"),
    arc: code({
      codes: { [NO_ARC]: "none", [WHOLE]: "measured to its end", [OPEN]: "its low-frequency end was not reached: extrapolated" },
    }),
    arcs: scalar("1", { doc: "how many were found" }),
    residual: scalar("%", { doc: "rms of both parts" }),
    residual_real: scalar("%", { doc: "rms" }),
    residual_imaginary: scalar("%", { doc: "rms" }),
    largest_residual_real: scalar("%"),
    largest_residual_imaginary: scalar("%"),
    residual_correlation: scalar("1", { doc: "of neighbouring frequencies" }),
    residual_measured: scalar("%", { doc: "rms of both parts, of the spectrum as it was measured" }),
    elements: scalar("1", { doc: "RC elements in the test" }),
    mu: scalar("1", { doc: "share of its resistance that negative ones do not cancel" }),
  },
  fit: {
    ...which,
    frequency: curve("Hz", { doc: "from high to low" }),
    z_real: curve("Ohm"),
    z_imaginary: curve("Ohm", { doc: "negative where the cell is capacitive" }),
    z_real_fit: curve("Ohm"),
    z_imaginary_fit: curve("Ohm"),
    residual_real: curve("%", { doc: "of |Z|" }),
    residual_imaginary: curve("%", { doc: "of |Z|" }),
  },
  corrected: {
    ...which,
    instant: scalar("ns", { type: "i64", doc: "what time it is as of" }),
    frequency: curve("Hz", { doc: "from high to low" }),
    z_real: curve("Ohm"),
    z_imaginary: curve("Ohm"),
  },
} as const; // prettier-ignore

interface Kept {
  readonly electrode: number;
  readonly spectrum: Spectrum;
}

export const impedance = defineOperator({
  name: "echem/impedance",
  doc: "Impedance spectra: resistances, the main arc, a Kramers-Kronig test, and drift between frequencies",
  input: {
    impedance: {
      index: code(),
      electrode: code(),
      frequency: curve("Hz"),
      z_real: curve("Ohm"),
      z_imaginary: curve("Ohm"),
      offset: curve("s", { optional: true }),
    },
  },
  output: outputs,
  config: {
    drift_correction: choice(["none", "interpolate"], "none", {
      doc: "interpolate: each spectrum as of the middle of its time, from the one before it and itself",
    }),
    longest_interval: quantity("s", 86_400, {
      min: 0,
      doc: "spectra that are further apart are not interpolated",
    }),
    max_residual: quantity("%", 1, {
      min: 0,
      doc: "rms residual of the Kramers-Kronig test beyond which a spectrum is not valid",
    }),
    mu: quantity("1", 0.85, {
      min: 0,
      max: 1,
      doc: "below this the test has enough RC elements; less allows more",
    }),
    max_elements: integer(60, { min: 1, max: 100, doc: "RC elements of the test at most" }),
    inductance: flag(true, { doc: "with an inductance in series" }),
    series_capacitance: flag(true, { doc: "with a capacitance in series, as of a blocking electrode" }),
  },
  start(config, { inputs, timeAt }) {
    const timed = "offset" in inputs.impedance.fields;
    const reactances = { inductance: config.inductance, capacitance: config.series_capacitance };
    const test = { mu: config.mu, most_elements: config.max_elements, ...reactances };
    /** Of each electrode the last spectrum, as measured. */
    let kept: Kept[] = [];

    return {
      step({ impedance: rows }, out) {
        for (let i = 0; i < rows.length; i++) {
          const { time, seconds, index, electrode, frequency, z_real, z_imaginary, offset } = rows.at(i);
          const lengths = [frequency, z_real, z_imaginary, ...(timed ? [offset] : [])].map(({ length }) => length);
          if (lengths.some((length) => length !== lengths[0])) {
            out.fault(time, `spectrum ${index} has curves of ${lengths.join(", ")} values; frequency, z_real, z_imaginary and offset must have one for each frequency`);
            continue;
          }
          const instants = timed ? offset.map((s) => seconds + s) : new Float64Array(lengths[0]!).fill(seconds);
          const measured = spectrumOf(frequency, z_real, z_imaginary, instants);
          const which = { time, index, electrode };
          const { frequency_Hz } = measured;
          const about = {
            points: frequency_Hz.length,
            highest_frequency: frequency_Hz[0] ?? NaN,
            lowest_frequency: frequency_Hz.at(-1) ?? NaN,
            duration: timed && frequency_Hz.length > 0 ? durationOf(measured) : NaN,
          };
          if (frequency_Hz.length < LEAST_POINTS || frequency_Hz.length > MOST_POINTS) {
            out.spectra.add({ ...which, ...NOTHING, ...about, valid: frequency_Hz.length < LEAST_POINTS ? FEW : MANY });
            continue;
          }
          const before = kept.find((one) => one.electrode === electrode)?.spectrum;
          kept = [...kept.filter((one) => one.electrode !== electrode), { electrode, spectrum: measured }].slice(-MOST_ELECTRODES);
          const asMeasured = kramersKronig(measured, test);
          const near = before && middleOf(measured) - middleOf(before) <= config.longest_interval;
          const corrected = config.drift_correction === "interpolate" && timed && near ? atOneInstant(before, measured) : undefined;
          const usable = corrected && corrected.frequency_Hz.length >= LEAST_POINTS ? corrected : undefined;
          const spectrum = usable ?? measured;
          const result = usable ? kramersKronig(usable, test) : asMeasured;
          const read = readings(spectrum, result, { ...reactances, max_residual: config.max_residual });
          out.spectra.add({
            ...which, ...about, ...read,
            corrected: usable ? 1 : 0,
            drift: usable ? PERCENT * usable.change : NaN,
            residual_measured: PERCENT * rms(asMeasured.residual_real, asMeasured.residual_imaginary),
          });
          const curves = { frequency: spectrum.frequency_Hz, z_real: spectrum.real_Ohm, z_imaginary: spectrum.imaginary_Ohm };
          out.fit.add({
            ...which, ...curves,
            z_real_fit: result.fit_real_Ohm,
            z_imaginary_fit: result.fit_imaginary_Ohm,
            residual_real: result.residual_real.map((r) => PERCENT * r),
            residual_imaginary: result.residual_imaginary.map((r) => PERCENT * r),
          });
          if (usable) out.corrected.add({ ...which, ...curves, instant: timeAt(usable.time_s[0]!) });
        }
      },
      save: () => structuredClone(kept),
      load: (saved: Kept[]) => void (kept = structuredClone(saved)),
    };
  },
}); // prettier-ignore

const NO_READING = {
  series_resistance: NaN, series_resistance_se: NaN, series_resistance_by: UNKNOWN,
  low_frequency_resistance: NaN, low_frequency_resistance_se: NaN,
  charge_transfer_resistance: NaN, charge_transfer_resistance_se: NaN, apex_frequency: NaN, apex_frequency_se: NaN,
  time_constant: NaN, time_constant_se: NaN, capacitance: NaN, capacitance_se: NaN, arc: NO_ARC, arcs: NaN,
  residual: NaN, residual_real: NaN, residual_imaginary: NaN, largest_residual_real: NaN, largest_residual_imaginary: NaN,
  residual_correlation: NaN, elements: NaN, mu: NaN,
}; // prettier-ignore
const NOTHING = { ...NO_READING, corrected: 0, drift: NaN, residual_measured: NaN };

function readings(
  spectrum: Spectrum, result: KramersKronig, { max_residual, ...reactances }: { inductance: boolean; capacitance: boolean; max_residual: number },
): typeof NO_READING & { valid: number } {
  const { real_Ohm: re, imaginary_Ohm: im } = spectrum;
  const last = re.length - 1;
  const { residual_real, residual_imaginary, noise } = result;
  const crossed = highFrequencyIntercept(spectrum, noise);
  const fitted = voigtArcs(spectrum, reactances);
  const misses = !fitted || (fitted.noise > MISSES * noise && PERCENT * fitted.noise > max_residual);
  const found = misses ? undefined : fitted;
  const series = crossed ?? { value: found?.series_Ohm ?? NaN, se: found?.series_Ohm_se ?? NaN };
  const arc = found?.arcs.reduce<Arc | undefined>((most, one) => (most && most.resistance_Ohm >= one.resistance_Ohm ? most : one), undefined);
  const residual = PERCENT * rms(residual_real, residual_imaginary);
  return {
    ...NO_READING,
    valid:
      !(residual <= max_residual) ? NOT_MET
      : im[last]! > LOOP_NOISES * noise * Math.hypot(re[last]!, im[last]!) && im.some((value) => value < 0) ? LOOP
      : misses ? NO_ELEMENTS
      : 0,
    series_resistance: series.value,
    series_resistance_se: series.se,
    series_resistance_by: crossed ? CROSSED : Number.isFinite(series.value) ? EXTRAPOLATED : UNKNOWN,
    low_frequency_resistance: re[last]!,
    low_frequency_resistance_se: noise * Math.hypot(re[last]!, im[last]!),
    ...(arc && {
      charge_transfer_resistance: arc.resistance_Ohm, charge_transfer_resistance_se: arc.resistance_Ohm_se,
      apex_frequency: arc.apex_Hz, apex_frequency_se: arc.apex_Hz_se,
      time_constant: arc.time_constant_s, time_constant_se: arc.time_constant_s_se,
      capacitance: arc.capacitance_F, capacitance_se: arc.capacitance_F_se,
      arc: found!.lowest_Hz <= DONE * arc.apex_Hz ? WHOLE : OPEN,
    }),
    arcs: found ? found.arcs.length : NaN,
    residual,
    residual_real: PERCENT * rms(residual_real),
    residual_imaginary: PERCENT * rms(residual_imaginary),
    largest_residual_real: PERCENT * largest(residual_real),
    largest_residual_imaginary: PERCENT * largest(residual_imaginary),
    residual_correlation: correlation([residual_real, residual_imaginary]),
    elements: result.elements,
    mu: result.mu,
  };
} // prettier-ignore

function rms(...parts: readonly Float64Array[]): number {
  let [sum, count] = [0, 0];
  for (const part of parts) {
    for (const value of part) sum += value * value;
    count += part.length;
  }
  return Math.sqrt(sum / count);
}

const largest = (values: Float64Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** Of neighbours within each part. */
function correlation(parts: readonly Float64Array[]): number {
  let [square, pairs] = [0, 0];
  for (const part of parts)
    for (let i = 0; i < part.length; i++) {
      square += part[i]! ** 2;
      if (i > 0) pairs += part[i]! * part[i - 1]!;
    }
  return pairs / square;
}

function durationOf({ time_s }: Spectrum): number {
  let [first, last] = [Infinity, -Infinity];
  for (const t of time_s) [first, last] = [Math.min(first, t), Math.max(last, t)];
  return last - first;
}
