import {
  choice, code, defineOperator, image, imageSize, integer, list, quantity, sameUnit, scalar, WiringError, type Field, type Fields,
} from "../../runtime/index.ts"; // prettier-ignore
import {
  airLevel, edgeColumns, momentBeam, namedColumns, noReference, UNKNOWN, type Estimate, type MomentReference,
} from "./beam.ts"; // prettier-ignore
import { PER_VIEW, perViewAt, perViewFields, perViewNames } from "./per-view.ts";
import { referenceFields, type FieldName } from "./reference-fields.ts";

/**
 * Flat-field correction: detector counts to transmission.
 *
 *     T = (P - D) / (F - D) / b
 *
 *     P  projection    [count]  (row, col)  sample in, beam on
 *     F  flat field    [count]  (row, col)  sample out, beam on
 *     D  dark field    [count]  (row, col)  beam off
 *     b  beam          [1]      brightness now, against that at the flats; 1 with `beam: none`
 *     T  transmission  [1]      (row, col)  0 opaque, 1 clear
 *
 * F and D are means of the frames that were taken in one go, without a projection in between. Where they are taken
 * again in the run, `flats` says what holds between:
 *
 *     latest      the newest. After a drift of F by a share s since, T is off by s, and jumps back by s at new flats
 *     fade-in     the newest, fading in over `fade` from the first projection after it: off by as much, but no jump
 *     cross-fade  linear in time between those before and after: exact for a linear drift; of one that is curved, off
 *                 by half its curvature × (time since the one) × (time to the other). The projections in between are
 *                 held until the later flats are there, `max_held` at most; more is a fault, and from there on flats fade in
 *
 * `flux` gives F - D, a row with the first projection after flats or darks, and when a fade is through; in between it
 * is linear in time. A clear pixel has flux × b counts.
 *
 * T is NaN where F - D is under `min_signal` (dead pixel), where P or F is at `saturation`, and where a count is no
 * number: `missing` counts them, `saturated` those of P. Left out, with a fault, are projections before their flats
 * and darks, those with more than half of their pixels NaN, and those that transmit less than a thousandth on average
 * (shutter closed, empty frame); flats that are saturated or empty; and flats and darks that differ too little in
 * more than half of the pixels. Where b is not known (a fault says why), T is as with `beam: none` and `beam` is NaN.
 *
 * Of b, see beam.ts: `monitor` divides by the column `beam_monitor` (any unit) as it was at the flats, its error is
 * Poisson's where it is in counts; `air` and `moment` look at the projection itself. `moment` asks for air on both sides.
 *
 * Holds while the beam keeps its shape from F to P. Reference: Van Nieuwenhove et al., Opt. Express 23, 27975 (2015).
 */
export function transmission(
  projection: Float32Array, dark: Float32Array, g: Float32Array, saturation: number, into: Float32Array,
): { missing: number; saturated: number; mean: number } {
  const n = into.length;
  let sum = 0, missing = 0, saturated = 0; // prettier-ignore
  const one = (i: number): void => {
    let T = (projection[i]! - dark[i]!) * g[i]!;
    if (projection[i]! >= saturation) {
      T = NaN;
      saturated++;
    }
    if (Number.isNaN(T)) missing++;
    else sum += T;
    into[i] = T;
  };
  // Four at a time, and one by one where something is amiss: twice as fast.
  const fours = n - (n % 4);
  for (let i = 0; i < fours; i += 4) {
    const p0 = projection[i]!, p1 = projection[i + 1]!, p2 = projection[i + 2]!, p3 = projection[i + 3]!;
    const T0 = (p0 - dark[i]!) * g[i]!;
    const T1 = (p1 - dark[i + 1]!) * g[i + 1]!;
    const T2 = (p2 - dark[i + 2]!) * g[i + 2]!;
    const T3 = (p3 - dark[i + 3]!) * g[i + 3]!;
    const T = T0 + T1 + (T2 + T3);
    if (T === T && p0 < saturation && p1 < saturation && p2 < saturation && p3 < saturation) {
      into[i] = T0;
      into[i + 1] = T1;
      into[i + 2] = T2;
      into[i + 3] = T3;
      sum += T;
    } else for (let k = i; k < i + 4; k++) one(k);
  }
  for (let i = fours; i < n; i++) one(i);
  return { missing, saturated, mean: sum / (n - missing) };
} // prettier-ignore

const PROJECTION = 0, FLAT = 1, DARK = 2, INVALID = 3; // prettier-ignore

/** Less than this on average, and there was no beam. */
const EMPTY = 1e-3;

interface View {
  readonly time: bigint;
  readonly seconds: number;
  readonly data: Float32Array;
  readonly rotation_angle: number;
  /** Columns that go along. */
  readonly rest: Readonly<Record<string, number>>;
}

interface State {
  flats: "latest" | "fade-in" | "cross-fade";
  /** Projections that wait for later flats. */
  held: View[];
  /** Flats or darks have come into use, or a fade is under way: flux is to be given out. */
  changed: boolean;
  fading: boolean;
  /** Why projections are left out at present, and how many were; why b is not known at present. */
  leaving: string;
  left: number;
  beamless: string;
  reference: MomentReference;
}

export const flatField = defineOperator({
  name: "tomography/flat-field",
  doc: "Flat-field correction of projections, from detector counts to transmission",
  input: {
    frames: { data: image("{count}"), rotation_angle: scalar("deg"), image_key: code(), ...PER_VIEW },
  },
  output: ({ frames }, { beam, air }) => {
    const fields: Fields = frames;
    const cols = frames.data.shape?.[1];
    if (beam === "monitor" && !("beam_monitor" in fields)) {
      throw new WiringError("beam: monitor needs a column beam_monitor beside the frames; use air or moment where nobody recorded it");
    }
    if (beam === "air" && air.length === 0)
      throw new WiringError('air: must say which columns the sample never covers, such as ["0-20", "620-639"]');
    if (typeof cols === "number" && (beam === "air" || beam === "moment")) airColumns(air, cols, beam);
    const monitor = fields["beam_monitor"];
    return {
      projections: {
        data: { ...frames.data, unit: "1", type: "f32", quantity: "transmission" },
        rotation_angle: frames.rotation_angle,
        ...perViewFields(fields),
        ...(monitor && { beam_monitor: monitor }),
        missing: scalar("{px}", { doc: "pixels without a value: dead, saturated, or no number" }),
        saturated: scalar("{px}", { doc: "pixels at saturation" }),
        ...(beam !== "none" && {
          beam: scalar("1", { uncertainty: "beam_se", doc: "brightness against the flats, that data were divided by" }),
          beam_se: scalar("1"),
        }),
      } as Fields,
      flux: { data: { ...frames.data, type: "f32", quantity: "flux", doc: "F - D, what a clear pixel counts" } } as Fields,
    };
  }, // prettier-ignore
  config: {
    min_signal: quantity("{count}", 1, { min: 0, doc: "F - D below this marks a dead pixel" }),
    saturation: quantity("{count}", 0, {
      min: 0, doc: "counts at which a pixel is full; 0: the greatest that the frames' integers can hold, of floats none",
    }),
    dark: quantity("{count}", NaN, { doc: "counts without beam, where no darks are recorded; 0 for a detector that counts photons" }),
    flats: choice(["latest", "fade-in", "cross-fade"], "latest", {
      doc: "with flats taken again in the run: the newest; the newest, fading in; or between those before and after",
    }),
    fade: quantity("s", 60, { min: 0, doc: "time in which new flats and darks fade in" }),
    max_held: integer(64, { min: 1, doc: "projections that cross-fade holds until the later flats come, 4 bytes × pixels each" }),
    beam: choice(["none", "monitor", "air", "moment"], "none", { doc: "what the brightness of the beam is followed by" }),
    air: list<string | number>([], {
      doc: "columns that the sample never covers, such as 0-20; for moment on both sides, default the outermost 32nd",
    }),
    baseline: integer(32, { min: 1, doc: "projections that moment takes its reference from" }),
    reference: choice(["recent", "start"], "recent", {
      doc: "those that went before, so that gas that leaves is followed; or the first ones, where the sample absorbs the same all along",
    }),
    photons_per_count: quantity("1", 1, { min: Number.MIN_VALUE, doc: "for the standard error of moment" }),
  }, // prettier-ignore
  start(config, { inputs }) {
    const { fields } = inputs.frames as { fields: Fields };
    const data = fields["data"]!;
    const [rows, cols] = data.shape as [number, number];
    const size = imageSize("data", data);
    const saturation = Math.fround(config.saturation || greatest(data));
    const counted = sameUnit(fields["beam_monitor"]?.unit ?? "", "{count}");
    const perView = perViewNames(fields);
    const refer = referenceFields({
      size, dark_count: config.dark, minSignal_count: config.min_signal, fade_s: config.fade,
    }); // prettier-ignore
    const air = config.air.length > 0 || config.beam === "moment" ? airColumns(config.air, cols, config.beam) : [];
    const fromMoment = momentBeam({
      rows, cols, left: air.filter((c) => 2 * c < cols), right: air.filter((c) => 2 * c >= cols),
      baseline: config.baseline, reference: config.reference, photonsPerCount: config.photons_per_count,
    }); // prettier-ignore
    const T = new Float32Array(size);
    const spare: Float32Array[] = [];
    let state: State = {
      flats: config.flats, held: [], changed: false, fading: false,
      leaving: "", left: 0, beamless: "", reference: noReference(rows),
    }; // prettier-ignore

    interface Results {
      readonly projections: { add(row: object): void };
      readonly flux: { add(row: object): void };
      fault(time: bigint, what: string): void;
    }

    /** One fault for a number of projections in a row that are left out for the same reason. */
    function leaveOut(time: bigint, kind: string, why: string, out: Results): void {
      if (state.leaving !== kind) {
        cameBack(time, out);
        out.fault(time, `${why}. It is left out, and so are those after it for as long as this goes on`);
      }
      state.leaving = kind;
      state.left++;
    }

    function cameBack(time: bigint, out: Results): void {
      if (state.left > 1) out.fault(time, `${state.left} projections before this one were left out: ${state.leaving}`);
      state.leaving = "";
      state.left = 0;
    }

    /** Frames without beam, or with too much of it, are no flats. */
    function unfit(name: FieldName, frame: Float32Array): string | undefined {
      let [full, lit] = [0, 0];
      for (let i = 0; i < size; i++) {
        if (!(frame[i]! < saturation)) full++;
        else if (frame[i]! > 0) lit++;
      }
      if (2 * full > size) return `${full} of ${size} pixels of this ${name} are saturated or no numbers; it is left out, expose shorter`;
      return lit === 0 && name === "flat" ? "this flat is empty, all counts are 0; it is left out, look at the shutter" : undefined;
    }

    function beamAt({ seconds, rest }: View): Estimate | string {
      if (config.beam === "moment") return fromMoment(T, refer.g, state.reference);
      if (config.beam === "air") {
        const level = airLevel(T, rows, cols, air);
        return level.value > 0 ? level : "the columns named air have no transmission";
      }
      const now = rest["beam_monitor"]!;
      const then = refer.monitorAt(seconds);
      if (!(now > 0 && then > 0)) return `beam_monitor is ${now}, at the flats it was ${then}`;
      return { value: now / then, se: counted ? Math.sqrt(now) / then : NaN };
    }

    function correct(view: View, out: Results): void {
      const { time, seconds, rotation_angle, rest } = view;
      const stands = refer.standAt(seconds);
      const { missing, saturated, mean } = transmission(view.data, refer.dark, refer.g, saturation, T);
      if (2 * missing > size) {
        const why = 2 * saturated > size ? "saturated; expose shorter, or set saturation" : "dead, saturated or no numbers";
        return leaveOut(time, "too few pixels", `${missing} of ${size} pixels of this projection are ${why}`, out);
      }
      if (!(mean > EMPTY)) {
        return leaveOut(time, "no beam", `this projection transmits ${mean.toPrecision(2)} on average, nothing; look at shutter and beam`, out);
      }
      cameBack(time, out);
      if (state.changed || (state.fading && stands)) out.flux.add({ time, data: refer.g.map((g) => 1 / g) });
      state.changed = false;
      state.fading = !stands;
      let beam = UNKNOWN;
      if (config.beam !== "none") {
        const found = beamAt(view);
        const why = typeof found === "string" ? found : "";
        if (typeof found !== "string") {
          beam = found;
          const by = 1 / beam.value;
          for (let i = 0; i < size; i++) T[i]! *= by;
        } else if (state.beamless === "") {
          out.fault(time, `beam is not known here, data are as with beam: none for as long as this goes on: ${why}`);
        }
        state.beamless = why;
      }
      out.projections.add({ time, data: T, rotation_angle, ...rest, missing, saturated, beam: beam.value, beam_se: beam.se });
    }

    /** Gives out what was held. */
    function release(out: Results): void {
      for (const view of state.held) {
        correct(view, out);
        spare.push(view.data);
      }
      state.held = [];
      refer.forget();
    }

    /** Flats and darks that were going on are over: they come into use. */
    function close(time: bigint, seconds: number, out: Results): void {
      const { flat, dark } = refer.open;
      if (!flat && !dark) return;
      const wrong = refer.close(seconds, state.flats);
      if (wrong) out.fault(time, wrong);
      else state.changed = true;
      if (flat && !wrong && state.held.length > 0) release(out);
    }

    return {
      step({ frames }, written, upTo) {
        const out = written as Results;
        const monitors = frames.columns["beam_monitor"] as Float64Array | undefined;
        for (let i = 0; i < frames.length; i++) {
          const { time, seconds, data, rotation_angle, image_key } = frames.at(i);
          if (image_key === FLAT || image_key === DARK) {
            const name = image_key === FLAT ? "flat" : "dark";
            const wrong = unfit(name, data);
            if (wrong) out.fault(time, wrong);
            else refer.put(name, data, seconds, monitors ? Number(monitors[i]) : NaN, saturation);
            continue;
          }
          if (image_key !== PROJECTION) {
            if (image_key !== INVALID) out.fault(time, `image_key is ${image_key}; wanted 0 projection, 1 flat, 2 dark or 3 invalid; the frame is left out`);
            continue;
          }
          close(time, seconds, out);
          const { missing } = refer;
          if (missing.length > 0) {
            const so = missing.join(" and ");
            leaveOut(time, `no ${so} field`, `projection came before its ${so} field; record one before the scan starts` +
              (missing.includes("dark") ? ", or set dark: 0 if the detector counts photons" : ""), out);
            continue;
          }
          const rest = { ...perViewAt(frames.columns, perView, i), ...(monitors && { beam_monitor: monitors[i]! }) };
          const view = { time, seconds, data, rotation_angle, rest };
          if (state.flats !== "cross-fade") {
            correct(view, out);
            continue;
          }
          const copy = spare.pop() ?? new Float32Array(size);
          copy.set(data);
          state.held.push({ ...view, data: copy });
          if (state.held.length <= config.max_held) continue;
          state.flats = "fade-in";
          release(out);
          spare.length = 0;
          out.fault(time, `cross-fade: more than max_held = ${config.max_held} projections came without flats after them; they are corrected by ` +
            `those before, and from here on new flats fade in over ${config.fade} s. Raise max_held, ${(size * 4 / 2 ** 20).toPrecision(2)} MiB each, or set flats: fade-in`);
        }
        if (upTo === Infinity && state.held.length > 0) {
          const { time, seconds } = state.held.at(-1)!;
          const { flat } = refer.open;
          close(time, seconds, out);
          if (state.held.length > 0) {
            const count = state.held.length;
            release(out);
            out.fault(time, `cross-fade: ${flat ? "no usable" : "no"} flats came after the last ${count} projections; they are corrected by those before`);
          }
        }
      },
      holds: () => state.held[0]?.seconds ?? Infinity,
      save: () => structuredClone({ state, fields: refer.save() }),
      load: (saved: { state: State; fields: ReturnType<typeof refer.save> }) => {
        state = saved.state;
        refer.load(saved.fields);
      },
    };
  },
}); // prettier-ignore

/** Columns to find the beam from. */
function airColumns(named: readonly (string | number)[], cols: number, beam: string): number[] {
  const columns = named.length > 0 ? namedColumns(named, cols) : edgeColumns(cols);
  if (beam === "moment" && !(2 * columns[0]! < cols && 2 * columns.at(-1)! >= cols)) {
    throw new WiringError(`air: ${named.join(", ")} lie on one side; beam: moment looks for air on both`);
  }
  return columns;
}

/** The greatest count that the frames' integers hold; of floats none. */
function greatest({ type }: Field): number {
  const bits = /^([iu])(8|16|32)$/.exec(type);
  return bits ? 2 ** (Number(bits[2]) - (bits[1] === "i" ? 1 : 0)) - 1 : Infinity;
}
