import {
  areaRatio, atTemperature, CAPACITY_C_per_m2, EMPTY, exchangeCurrent_A_per_m2, FARADAY_C_PER_mol as F,
  GAS_CONSTANT_J_PER_mol_K as R, GRAPHITE, NMC811, overpotential_V, relax, type Electrode, type WarmElectrode,
} from "./electrodes.ts"; // prettier-ignore
import type { Control } from "./protocol.ts";
import type { Random } from "./random.ts";
import {
  bridgingRate_per_s, deadLithiumRate_per_s, gasOf_mol, graphiteSwelling, lithiumThickness_m, oxidationCurrent_A_per_m2,
  platingCurrent_A_per_m2, SEI_INITIAL_m, seiAfter_m, seiCharge_C_per_m2, seiResistance_Ohm_m2,
} from "./side-reactions.ts"; // prettier-ignore

/**
 * The hidden state of one cell, advanced at a fixed step: what every instrument looks at.
 *
 *     φ_n = U_n − η_n − i r_a                anode against Li/Li⁺ at the separator [V]
 *     V   = U_p + η_p − (U_n − η_n) + i r    terminals [V]
 *     i   = i_F + G V / A                    part of the current may run through shorts, G [S]
 *     i_F = i_graphite + i_plating + i_SEI   on the anode;  = i_NMC + i_oxidation on the cathode
 *
 * Currents [A/m² of sheet] are positive on charge. One particle per electrode, no gradients along the thickness.
 */
export interface CellBuild {
  readonly area_m2: number;
  /** Graphite over what balances the cathode [1]. */
  readonly anodeExcess: number;
  /** A cell that has never been charged: bare graphite, SEI still to be formed. */
  readonly pristine: boolean;
  /** How much faster than the mean the longest tip grows [1]. */
  readonly tipFocus: number;
  /** Of one filament. */
  readonly filamentConductance_S: number;
  /** The first filament does not fuse but grows to a metallic bridge. */
  readonly bridgeGrows: boolean;
}

export interface Filament {
  conductance_S: number;
  readonly start_s: number;
  readonly end_s: number;
}

export const SEPARATOR_m = 12e-6;
const ANODE_RESISTANCE_Ohm_m2 = 5e-4;
const TOTAL_RESISTANCE_Ohm_m2 = 10e-4;
const FORMATION_C_per_m2 = 0.08 * CAPACITY_C_per_m2;
const FORMATION_V = 0.8, FORMATION_WIDTH_V = 0.05, FORMATION_LAG_s = 10; // prettier-ignore
const MATURING_s = 3600;
/** Of the charge that forms SEI, the share that makes ethylene which stays a gas: 1 to 3 mL per Ah of cell. */
const FORMATION_GAS = 0.05;
/** Oxidising area per area of sheet: of the particles' true area only what the electrolyte reaches unprotected. */
const OXIDISING_RATIO = 5;
/** Gas that the electrolyte dissolves before bubbles form. */
const SOLUBLE_mol_per_m2 = 1e-3;
const FUSING_A = 1e-3;
const HARD_SHORT_S = 1;
const BRIDGE_DOUBLES_s = 60;
export const ATMOSPHERE_Pa = 101325;
const HEADSPACE_m3 = 1e-6;
const STIFFNESS_N_per_um = 5, PRELOAD_N = 150, FORCE_LAG_s = 60; // prettier-ignore
/** Share of the gas that stays between the sheets and lifts them; the rest leaves sideways. */
const GAS_IN_STACK = 0.2;
const EXPANSION_um_per_K = 0.1;
const REFERENCE_K = 298.15;

export class CellModel {
  readonly build: CellBuild;
  readonly #random: Random;
  #anode!: WarmElectrode;
  #cathode!: WarmElectrode;
  readonly #ratio: number;
  #bridgeBegun = false;
  #lowestAnodePotential_V = Infinity;

  time_s = 0;
  temperature_K = NaN;
  /** Mean stoichiometries. */
  x: number;
  y: number;
  /** Of the surfaces, against the means. */
  dx = 0;
  dy = 0;
  plated_C_per_m2 = 0;
  dead_C_per_m2 = 0;
  sei_m: number;
  formed_C_per_m2 = 0;
  /** Share of the surface that SEI covers, and how much of it has turned inorganic. */
  seiCoverage: number;
  seiMaturity: number;
  dissolved_mol_per_m2 = 0.3 * SOLUBLE_mol_per_m2;
  gas_mol_per_m2 = 0;
  filaments: Filament[] = [];

  /** Of the step just made. */
  voltage_V = NaN;
  current_A_per_m2 = 0;
  faradaic_A_per_m2 = 0;
  anodePotential_V = NaN;
  cathodePotential_V = NaN;
  plating_A_per_m2 = 0;
  oxidation_A_per_m2 = 0;
  #forceDisplacement_um = NaN;

  constructor(build: CellBuild, temperature_K: number, random: Random) {
    this.build = build;
    this.#random = random;
    this.#ratio = areaRatio(GRAPHITE) * build.anodeExcess;
    this.sei_m = build.pristine ? 0.2e-9 : SEI_INITIAL_m;
    this.seiCoverage = build.pristine ? 0 : 1;
    this.seiMaturity = build.pristine ? 0 : 1;
    this.setTemperature(temperature_K);
    // Lithium that the SEI will bind is still in the cathode of a pristine cell.
    this.x = build.pristine ? 0.005 : EMPTY.x;
    const bound = build.pristine ? FORMATION_C_per_m2 + (EMPTY.x - 0.005) * this.#anode.capacity_C_per_m2 : 0;
    this.y = EMPTY.y + bound / this.#cathode.capacity_C_per_m2;
    if (!build.pristine) this.formed_C_per_m2 = FORMATION_C_per_m2;
    this.#settle({ current_A_per_m2: 0 }, 1);
    this.#forceDisplacement_um = this.displacement_um;
  }

  setTemperature(temperature_K: number): void {
    if (temperature_K === this.temperature_K) return;
    this.temperature_K = temperature_K;
    const graphite: Electrode = { ...GRAPHITE, thickness_m: GRAPHITE.thickness_m * this.build.anodeExcess };
    this.#anode = atTemperature(graphite, temperature_K);
    this.#cathode = atTemperature(NMC811, temperature_K);
  }

  get soc(): number {
    return (EMPTY.y - this.y) * (this.#cathode.capacity_C_per_m2 / CAPACITY_C_per_m2);
  }

  get shortConductance_S(): number {
    return this.filaments.reduce((sum, { conductance_S }) => sum + conductance_S, 0);
  }

  get dendrite_m(): number {
    return this.build.tipFocus * lithiumThickness_m(this.plated_C_per_m2 + this.dead_C_per_m2);
  }

  /** Thickness of the film that all free gas would make over the sheet, at one atmosphere. */
  get gasFilm_m(): number {
    return (this.gas_mol_per_m2 * R * this.temperature_K) / ATMOSPHERE_Pa;
  }

  get pressure_Pa(): number {
    const air = (ATMOSPHERE_Pa * this.temperature_K) / REFERENCE_K;
    return air + (this.gas_mol_per_m2 * this.build.area_m2 * R * this.temperature_K) / HEADSPACE_m3;
  }

  /** Swelling of the stack against the discharged cell at 25 °C. Half of the particles' swelling goes into pores. */
  get displacement_um(): number {
    const graphite = 0.5 * GRAPHITE.share * GRAPHITE.thickness_m * this.build.anodeExcess *
      (graphiteSwelling(this.x) - graphiteSwelling(EMPTY.x)); // prettier-ignore
    const nmc = -0.5 * NMC811.share * NMC811.thickness_m * 0.06 * (EMPTY.y - this.y);
    const lithium = lithiumThickness_m(this.plated_C_per_m2 + this.dead_C_per_m2);
    const heat = EXPANSION_um_per_K * (this.temperature_K - REFERENCE_K);
    return (graphite + nmc + lithium + GAS_IN_STACK * this.gasFilm_m) * 1e6 + heat;
  }

  get force_N(): number {
    return PRELOAD_N + STIFFNESS_N_per_um * this.#forceDisplacement_um;
  }

  /** Modulus of the anode's surface as a force microscope feels it: bare graphite, young organic SEI, mature SEI. */
  get surfaceModulus_Pa(): number {
    const sei = (1 - this.seiMaturity) * Math.log(0.25e9) + this.seiMaturity * Math.log(3e9);
    const softening = 1 - 0.08 * this.soc;
    return softening * Math.exp((1 - this.seiCoverage) * Math.log(12e9) + this.seiCoverage * sei);
  }

  step(control: Control, step_s: number): void {
    this.#settle(control, step_s);
    const { plating_A_per_m2: plating, faradaic_A_per_m2: faradaic } = this;

    // SEI: formed once where the potential first passes 0.8 V, and growing slowly ever after
    const forming = this.#formationCurrent(faradaic);
    this.formed_C_per_m2 += forming * step_s;
    const coverage = Math.min(1, this.formed_C_per_m2 / FORMATION_C_per_m2);
    const covered = Math.max(this.seiCoverage, coverage);
    this.seiMaturity += (step_s / MATURING_s) * (covered - this.seiMaturity) * covered;
    if (covered > this.seiCoverage) this.sei_m = Math.max(this.sei_m, covered * 4 * SEI_INITIAL_m);
    this.seiCoverage = covered;
    const grown = seiAfter_m(this.sei_m, covered * step_s);
    const lost = seiCharge_C_per_m2(grown - this.sei_m, this.#ratio);
    this.sei_m = grown;

    // Lithium: into graphite, onto it, out of reach
    const intercalating = faradaic - plating - forming;
    this.x += (intercalating * step_s - lost) / this.#anode.capacity_C_per_m2;
    this.x = Math.max(1e-4, this.x);
    this.dx = relax(this.#anode, this.dx, intercalating, step_s);
    const nmc = faradaic - this.oxidation_A_per_m2;
    this.y -= (nmc * step_s) / this.#cathode.capacity_C_per_m2;
    this.dy = relax(this.#cathode, this.dy, nmc, step_s);
    const dead = Math.min(1, deadLithiumRate_per_s(this.sei_m) * step_s) * this.plated_C_per_m2;
    this.plated_C_per_m2 = Math.max(0, this.plated_C_per_m2 + plating * step_s - dead);
    this.dead_C_per_m2 += dead;

    // Gas: from oxidation at the cathode, and two electrons of SEI for one ethylene; dissolved until saturation
    const made = gasOf_mol((this.oxidation_A_per_m2 + FORMATION_GAS * forming) * step_s);
    const room = SOLUBLE_mol_per_m2 - this.dissolved_mol_per_m2;
    this.dissolved_mol_per_m2 += Math.min(made, room);
    this.gas_mol_per_m2 += Math.max(0, made - room);

    this.#short(step_s);
    this.#forceDisplacement_um +=
      (this.displacement_um - this.#forceDisplacement_um) * (1 - Math.exp(-step_s / FORCE_LAG_s));
    this.time_s += step_s;
  }

  /** Finds current and potentials that satisfy what the cycler holds. */
  #settle(control: Control, step_s: number): void {
    const conductance_S_per_m2 = this.shortConductance_S / this.build.area_m2;
    // No more lithium leaves the graphite in one step than is there.
    const least = (-Math.max(0, this.x - 2e-4) * this.#anode.capacity_C_per_m2) / step_s;
    let faradaic: number;
    if ("voltage_V" in control) {
      faradaic = this.#solve((i) => this.#terminal(i) - control.voltage_V, this.faradaic_A_per_m2);
    } else if (conductance_S_per_m2 === 0) faradaic = control.current_A_per_m2;
    else {
      const { current_A_per_m2: total } = control;
      faradaic = this.#solve(
        (i) => i + conductance_S_per_m2 * this.#terminal(i) - total,
        this.faradaic_A_per_m2,
      );
    }
    this.faradaic_A_per_m2 = Math.max(least, faradaic);
    this.voltage_V = this.#terminal(this.faradaic_A_per_m2);
    if (faradaic < least && conductance_S_per_m2 > 0 && "current_A_per_m2" in control) {
      // An empty anode holds no voltage: what is left falls over the short.
      this.voltage_V = (control.current_A_per_m2 - least) / conductance_S_per_m2;
    }
    this.current_A_per_m2 = "current_A_per_m2" in control
      ? control.current_A_per_m2
      : this.faradaic_A_per_m2 + conductance_S_per_m2 * this.voltage_V; // prettier-ignore
    this.oxidation_A_per_m2 =
      OXIDISING_RATIO * oxidationCurrent_A_per_m2(this.cathodePotential_V, this.temperature_K);
    this.#lowestAnodePotential_V = Math.min(this.#lowestAnodePotential_V, this.anodePotential_V);
  }

  /** Voltage at a faradaic current; leaves behind the potentials of both electrodes. */
  #terminal(faradaic_A_per_m2: number): number {
    const film = seiResistance_Ohm_m2(Math.max(0, this.sei_m - SEI_INITIAL_m), this.#ratio);
    const anodeResistance = ANODE_RESISTANCE_Ohm_m2 + film;
    const anode = this.#anodeAt(faradaic_A_per_m2, anodeResistance);
    const surface = this.y - this.dy;
    const cathode = NMC811.potential_V(surface) +
      overpotential_V(this.#cathode, surface, faradaic_A_per_m2 - this.oxidation_A_per_m2, this.temperature_K); // prettier-ignore
    this.anodePotential_V = anode;
    this.cathodePotential_V = cathode;
    return cathode - anode + faradaic_A_per_m2 * (TOTAL_RESISTANCE_Ohm_m2 - ANODE_RESISTANCE_Ohm_m2);
  }

  /** φ_n at which intercalation, plating and SEI together carry the current. */
  #anodeAt(faradaic_A_per_m2: number, resistance_Ohm_m2: number): number {
    const surface = Math.min(1, Math.max(1e-6, this.x + this.dx));
    const thermal = (2 * R * this.temperature_K) / F;
    const twice = 2 * exchangeCurrent_A_per_m2(this.#anode, surface) * this.#anode.areaRatio;
    const rest = GRAPHITE.potential_V(surface) - faradaic_A_per_m2 * resistance_Ohm_m2;
    const forming = this.#formationCurrent(faradaic_A_per_m2);
    let potential = rest - thermal * Math.asinh((faradaic_A_per_m2 - forming) / twice);
    this.plating_A_per_m2 = 0;
    if (potential >= 0 && this.plated_C_per_m2 === 0) return potential;
    for (let k = 0; k < 30; k++) {
      const plating = this.#platingAt(potential);
      const slope = (this.#platingAt(potential + 1e-6) - plating) / 1e-6;
      const z = (faradaic_A_per_m2 - forming - plating) / twice;
      const miss = potential - (rest - thermal * Math.asinh(z));
      const change = miss / (1 - (thermal / Math.sqrt(1 + z * z)) * (slope / twice));
      potential -= change;
      if (Math.abs(change) < 1e-9) break;
    }
    this.plating_A_per_m2 = this.#platingAt(potential);
    return potential;
  }

  #platingAt(potential_V: number): number {
    const current = platingCurrent_A_per_m2(
      potential_V,
      this.plated_C_per_m2,
      this.temperature_K,
      this.#ratio,
    );
    // What strips in one second is at most what is there.
    return Math.max(current, -this.plated_C_per_m2);
  }

  /** Charge that SEI formation takes, so that dQ/dφ is a Gaussian at 0.80 ± 0.05 V over the lowest potential so far. */
  #formationCurrent(faradaic_A_per_m2: number): number {
    if (this.formed_C_per_m2 >= FORMATION_C_per_m2 || faradaic_A_per_m2 <= 0) return 0;
    const due =
      FORMATION_C_per_m2 * normalShare((FORMATION_V - this.#lowestAnodePotential_V) / FORMATION_WIDTH_V);
    return Math.min(0.9 * faradaic_A_per_m2, Math.max(0, due - this.formed_C_per_m2) / FORMATION_LAG_s);
  }

  /** Root of a rising function near a guess: secant steps kept within a bracket. */
  #solve(f: (i: number) => number, guess: number): number {
    let low = guess - 1, high = guess + 1; // prettier-ignore
    let atLow = f(low), atHigh = f(high); // prettier-ignore
    for (let width = 2; atLow > 0; width *= 4) atLow = f((low -= width));
    for (let width = 2; atHigh < 0; width *= 4) atHigh = f((high += width));
    for (let k = 0; k < 60 && high - low > 1e-9; k++) {
      const middle = k % 3 === 2 ? (low + high) / 2 : low - (atLow * (high - low)) / (atHigh - atLow);
      const atMiddle = f(middle);
      if (Math.abs(atMiddle) < 1e-10) return middle;
      if (atMiddle < 0) [low, atLow] = [middle, atMiddle];
      else [high, atHigh] = [middle, atMiddle];
    }
    return (low + high) / 2;
  }

  /** Filaments come, last a while or fuse; the one of a hard short grows. */
  #short(step_s: number): void {
    const { build, voltage_V } = this;
    if (this.filaments.length > 0) {
      this.filaments = this.filaments.filter(
        ({ conductance_S, end_s }) =>
          end_s === Infinity || (this.time_s < end_s && conductance_S * voltage_V <= FUSING_A),
      );
      for (const filament of this.filaments) {
        if (filament.end_s === Infinity && filament.conductance_S < 2 * HARD_SHORT_S) {
          filament.conductance_S *= 2 ** (step_s / BRIDGE_DOUBLES_s);
        }
      }
    }
    const rate = bridgingRate_per_s(this.dendrite_m, SEPARATOR_m);
    if (rate === 0 || this.#random.uniform() >= rate * step_s) return;
    const grows = build.bridgeGrows && !this.#bridgeBegun;
    this.#bridgeBegun = true;
    this.filaments.push({
      conductance_S: this.#random.lognormal(build.filamentConductance_S, 0.8),
      start_s: this.time_s,
      end_s: grows ? Infinity : this.time_s + 120 + this.#random.exponential(1200),
    });
  }

  get hardShort(): boolean {
    return this.shortConductance_S >= HARD_SHORT_S;
  }
}

/** Share of a normal law below z (Abramowitz & Stegun 26.2.17, error under 1e-7). */
function normalShare(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))); // prettier-ignore
  return z > 0 ? 1 - tail : tail;
}
