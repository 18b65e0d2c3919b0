/**
 * The two electrodes of an LG M50 cell: open-circuit potentials, kinetics and the lag of the particles' surfaces.
 *
 *     x, y   mean stoichiometry of graphite and of NMC811 [1]
 *     d      surface stoichiometry less its mean [1]; target j R / (5 D F c_max), lag R² / (15 D)
 *     j      current per true area [A/m²] = i R / (3 ε L), i the current per area of the sheet, positive on charge
 *     η      (2 R T / F) asinh(j / 2 i0),  i0 = m √(c_e c_s (c_max − c_s))
 *
 * Holds for currents that change slowly against R² / (15 D) (some seconds for NMC, a minute for graphite at 25 °C)
 * and while the electrolyte is not depleted.
 *
 * Reference: Chen et al., J. Electrochem. Soc. 167, 080534 (2020), doi:10.1149/1945-7111/ab9050.
 */
export const FARADAY_C_PER_mol = 96485.33212;
export const GAS_CONSTANT_J_PER_mol_K = 8.31446261815324;
const REFERENCE_K = 298.15;
const ELECTROLYTE_mol_PER_m3 = 1000;

export interface Electrode {
  readonly thickness_m: number;
  /** Volume share of active material. */
  readonly share: number;
  readonly radius_m: number;
  readonly diffusivity_m2_per_s: number;
  readonly diffusivityActivation_J_per_mol: number;
  readonly maximum_mol_per_m3: number;
  /** m of i0 [(A/m²) (m³/mol)^1.5]. */
  readonly rate: number;
  readonly rateActivation_J_per_mol: number;
  readonly potential_V: (stoichiometry: number) => number;
}

export const GRAPHITE: Electrode = {
  thickness_m: 85.2e-6,
  share: 0.75,
  radius_m: 5.86e-6,
  diffusivity_m2_per_s: 3.3e-14,
  diffusivityActivation_J_per_mol: 30300,
  maximum_mol_per_m3: 33133,
  rate: 6.48e-7,
  rateActivation_J_per_mol: 35000,
  potential_V: (x) =>
    1.9793 * Math.exp(-39.3631 * x) + 0.2482 - 0.0909 * Math.tanh(29.8538 * (x - 0.1234)) -
    0.04478 * Math.tanh(14.9159 * (x - 0.2769)) - 0.0205 * Math.tanh(30.4444 * (x - 0.6103)),
}; // prettier-ignore

export const NMC811: Electrode = {
  thickness_m: 75.6e-6,
  share: 0.665,
  radius_m: 5.22e-6,
  diffusivity_m2_per_s: 4e-15,
  diffusivityActivation_J_per_mol: 25000,
  maximum_mol_per_m3: 63104,
  rate: 3.42e-6,
  rateActivation_J_per_mol: 17800,
  potential_V: (y) =>
    -0.809 * y + 4.4875 - 0.0428 * Math.tanh(18.5138 * (y - 0.5542)) -
    17.7326 * Math.tanh(15.789 * (y - 0.3117)) + 17.5842 * Math.tanh(15.9308 * (y - 0.312)),
}; // prettier-ignore

/** Charge that the active material can hold, per area of the sheet. */
export const capacity_C_per_m2 = (e: Electrode): number =>
  e.maximum_mol_per_m3 * e.share * e.thickness_m * FARADAY_C_PER_mol;

/** True area of the particles per area of the sheet. */
export const areaRatio = (e: Electrode): number => (3 * e.share * e.thickness_m) / e.radius_m;

/** Stoichiometries at 2.5 V and 4.2 V at rest: found from the lithium in the cell as built (29866 and 17038 mol/m³). */
export const EMPTY = { x: 0.026345790270645767, y: 0.853974674630047 } as const;
export const FULL = { x: 0.9106180466524066, y: 0.26384522459133175 } as const;
/** 50.18 Ah/m² between the two: what 1C is counted by. */
export const CAPACITY_C_per_m2 = (FULL.x - EMPTY.x) * capacity_C_per_m2(GRAPHITE);

/** Voltage at rest, of the balanced cell. */
export function openCircuitVoltage_V(soc: number): number {
  const y = EMPTY.y + soc * (FULL.y - EMPTY.y);
  return NMC811.potential_V(y) - GRAPHITE.potential_V(EMPTY.x + soc * (FULL.x - EMPTY.x));
}

const arrhenius = (activation_J_per_mol: number, temperature_K: number): number =>
  Math.exp((activation_J_per_mol / GAS_CONSTANT_J_PER_mol_K) * (1 / REFERENCE_K - 1 / temperature_K));

/** What an electrode is at one temperature, worked out once. */
export interface WarmElectrode extends Electrode {
  readonly areaRatio: number;
  readonly capacity_C_per_m2: number;
  /** d per current per area of the sheet, at length [m²/A]. */
  readonly lagGain: number;
  readonly lagTime_s: number;
  readonly warmRate: number;
}

export function atTemperature(e: Electrode, temperature_K: number): WarmElectrode {
  const diffusivity = e.diffusivity_m2_per_s * arrhenius(e.diffusivityActivation_J_per_mol, temperature_K);
  const ratio = areaRatio(e);
  return {
    ...e,
    areaRatio: ratio,
    capacity_C_per_m2: capacity_C_per_m2(e),
    lagGain: e.radius_m / (5 * diffusivity * FARADAY_C_PER_mol * e.maximum_mol_per_m3 * ratio),
    lagTime_s: e.radius_m ** 2 / (15 * diffusivity),
    warmRate: e.rate * arrhenius(e.rateActivation_J_per_mol, temperature_K),
  };
}

/** i0 per true area [A/m²] at a stoichiometry of the surface. */
export function exchangeCurrent_A_per_m2(e: WarmElectrode, stoichiometry: number): number {
  const s = stoichiometry < 1e-6 ? 1e-6 : stoichiometry > 1 - 1e-6 ? 1 - 1e-6 : stoichiometry;
  return e.warmRate * e.maximum_mol_per_m3 * Math.sqrt(ELECTROLYTE_mol_PER_m3 * s * (1 - s));
}

/** η for a current per area of the sheet. */
export function overpotential_V(
  e: WarmElectrode,
  stoichiometry: number,
  current_A_per_m2: number,
  temperature_K: number,
): number {
  const i0 = exchangeCurrent_A_per_m2(e, stoichiometry) * e.areaRatio;
  return (
    ((2 * GAS_CONSTANT_J_PER_mol_K * temperature_K) / FARADAY_C_PER_mol) *
    Math.asinh(current_A_per_m2 / (2 * i0))
  );
}

/** d after a step of time at constant current. */
export function relax(e: WarmElectrode, d: number, current_A_per_m2: number, step_s: number): number {
  const target = e.lagGain * current_A_per_m2;
  return target + (d - target) * Math.exp(-step_s / e.lagTime_s);
}
