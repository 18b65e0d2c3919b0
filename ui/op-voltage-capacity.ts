/** Voltage against the charge that has passed in its half cycle: the running one bright, earlier ones as ghosts. */
import type { CapacityPanel } from "./cycle-panels.ts";
import type { Ms } from "./client/types.ts";
import { FamilyView, type Family, type Member } from "./family-view.ts";
import { HalfCycles, type HalfCurve } from "./half-cycles.ts";
import { HUES } from "./quantities.ts";
import { readableQuantity } from "./readable-numbers.ts";
import { fromStart } from "./stream-start.ts";

/** Half cycles behind the running one; small there are fewer, and a page has less to ask for. */
const GHOSTS = { small: 5, large: 11 } as const;

export class OpVoltageCapacity extends FamilyView {
  static override properties = { ...FamilyView.properties, panel: { attribute: false } };
  declare panel: CapacityPanel;

  #halves: HalfCycles | undefined;

  protected get heading(): string {
    return this.panel.title;
  }

  protected get stream(): string {
    return this.panel.stream;
  }

  protected override get nothingYet(): string {
    return "no charge or discharge yet";
  }

  protected override get asking(): boolean {
    return this.#halves?.asking ?? true;
  }

  protected feed(): () => void {
    const { client } = this.page;
    const { stream } = this.panel;
    return fromStart(client, stream, (first) => {
      this.#halves = new HalfCycles({ client, stream, first, onData: this.received });
      return this.#halves;
    });
  }

  protected families(moment: Ms | undefined): Family[] {
    const halves = this.#halves;
    if (!halves) return [];
    const now = halves.at(moment);
    const least = Math.max(0, now - (this.large ? GHOSTS.large : GHOSTS.small));
    const members: Member[] = [];
    const add = (half: number, pinned: boolean): void => {
      const curve = halves.curve(half);
      const shown = curve && (half === now && moment !== undefined ? until(curve, moment) : curve);
      if (!shown || shown.time.length === 0) return;
      const { voltage_V, capacity_Ah, cycle, charging, most_Ah } = shown;
      members.push({
        key: half, age: now - half, pinned,
        name: `cycle ${cycle}, ${charging ? "charge" : "discharge"}: ${readableQuantity(most_Ah, "A.h")}`,
        x: capacity_Ah, y: voltage_V, hue: HUES.voltage,
      }); // prettier-ignore
    };
    // Of the first cycle both halves.
    if (this.pinned) {
      for (const half of [halves.first, halves.first + 1]) if (half >= 0 && half < least) add(half, true);
    }
    for (let half = least; half <= now; half++)
      if (half >= 0) add(half, this.pinned && half <= halves.first + 1);
    return [{ members, x: { name: "capacity", unit: "A.h" }, y: { name: "voltage", unit: "V" } }];
  }

  protected said([family]: readonly Family[]): string {
    return family?.members.at(-1)?.name ?? "";
  }
}

/** What was known of it at a moment. */
function until(curve: HalfCurve, moment: Ms): HalfCurve {
  const end = curve.time.findLastIndex((time) => time <= moment) + 1;
  if (end === curve.time.length) return curve;
  const capacity_Ah = curve.capacity_Ah.subarray(0, end);
  return {
    ...curve, capacity_Ah, time: curve.time.subarray(0, end), voltage_V: curve.voltage_V.subarray(0, end),
    most_Ah: capacity_Ah.reduce((most, q) => Math.max(most, q), -Infinity),
  }; // prettier-ignore
}

customElements.define("op-voltage-capacity", OpVoltageCapacity);

declare global {
  interface HTMLElementTagNameMap {
    "op-voltage-capacity": OpVoltageCapacity;
  }
}
