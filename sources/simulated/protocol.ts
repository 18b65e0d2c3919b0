/** What a cycler does: rest, charge at constant current, hold at constant voltage, rest, discharge, rest; again. */
export interface CyclePlan {
  readonly charge_A_per_m2: number;
  readonly discharge_A_per_m2: number;
  readonly upper_V: number;
  readonly lower_V: number;
  /** The hold ends when the current has fallen to this, or after this long. */
  readonly cutoff_A_per_m2: number;
  readonly hold_s: number;
  readonly rest_s: number;
}

export type Control = { readonly current_A_per_m2: number } | { readonly voltage_V: number };

type Phase = "rest before" | "charge" | "hold" | "rest charged" | "discharge" | "rest discharged";

/** A step that does not reach its voltage, as after a short, ends after this long. */
const LONGEST_STEP_s = 2 * 3600;

export class Protocol {
  readonly #plan: (cycle: number) => CyclePlan;
  readonly #firstRest_s: number;
  phase: Phase = "rest before";
  cycle = 1;
  step = 1;
  /** Seconds since this phase began. */
  elapsed_s = 0;

  constructor(plan: (cycle: number) => CyclePlan, firstRest_s: number) {
    this.#plan = plan;
    this.#firstRest_s = firstRest_s;
  }

  get control(): Control {
    const plan = this.#plan(this.cycle);
    if (this.phase === "charge") return { current_A_per_m2: plan.charge_A_per_m2 };
    if (this.phase === "hold") return { voltage_V: plan.upper_V };
    if (this.phase === "discharge") return { current_A_per_m2: -plan.discharge_A_per_m2 };
    return { current_A_per_m2: 0 };
  }

  /** Takes what the cell answered over one time step and goes on to the next phase where this one is over. */
  advance(voltage_V: number, current_A_per_m2: number, step_s: number): void {
    const plan = this.#plan(this.cycle);
    this.elapsed_s += step_s;
    const late = this.elapsed_s >= LONGEST_STEP_s;
    switch (this.phase) {
      case "rest before":
        if (this.elapsed_s >= this.#firstRest_s) this.#next("charge");
        break;
      case "charge":
        if (voltage_V >= plan.upper_V) this.#next("hold");
        else if (late) this.#next("rest charged");
        break;
      case "hold":
        if (current_A_per_m2 <= plan.cutoff_A_per_m2 || this.elapsed_s >= plan.hold_s)
          this.#next("rest charged");
        break;
      case "rest charged":
        if (this.elapsed_s >= plan.rest_s) this.#next("discharge");
        break;
      case "discharge":
        if (voltage_V <= plan.lower_V || late) this.#next("rest discharged");
        break;
      case "rest discharged":
        if (this.elapsed_s >= plan.rest_s) {
          this.cycle++;
          this.#next("charge");
        }
    }
  }

  #next(phase: Phase): void {
    this.phase = phase;
    this.step++;
    this.elapsed_s = 0;
  }
}
