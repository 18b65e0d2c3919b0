import { code, curve, image, scalar, type Fields } from "../../runtime/index.ts";
import type { InstrumentPlan, Row } from "./instrument.ts";
import { Random } from "./random.ts";
import { forceCurve, withNoise } from "./render-curves.ts";
import { beamProfile, bubbleSpheres, cellPhantom, expose, lineIntegrals } from "./render-projections.ts";
import { radiographIntegrals, radiography } from "./render-radiographs.ts";
import { EVENT_CODES, EVENTS } from "./scenarios.ts";
import { lithiumThickness_m } from "./side-reactions.ts";
import { Surface, type SurfaceState } from "./surface.ts";
import type { World } from "./world.ts";

/** What each instrument puts out; sizes of images are named by the first item. */
export const IMAGE_KEYS = { 0: "projection", 1: "flat", 2: "dark", 3: "invalid" } as const;

export const PORTS = {
  echem: {
    test_time_second: scalar("s"),
    voltage_volt: scalar("V"),
    current_ampere: scalar("A"),
    cycle_count: code(),
    step_count: code(),
  },
  curves: {
    height: curve("m", { type: "f32" }),
    force: curve("N", { type: "f32" }),
    segment: curve("", { type: "u8" }),
    index: code({ doc: "place in the map, row by row" }),
    map: code({ doc: "number of the map" }),
    x: scalar("m"),
    y: scalar("m"),
    spring_constant: scalar("N/m"),
    deflection_sensitivity: scalar("m/V"),
  },
  topography: {
    data: image("m"),
    index: code(),
    slow_scan: code({ codes: { 0: "up", 1: "down" }, doc: "up: row 0, the smallest y, was scanned first" }),
    duration: scalar("s", { doc: "from the begin of the first line to the end of the last" }),
  },
  frames: {
    data: image("{count}", { type: "u16" }),
    rotation_angle: scalar("deg"),
    image_key: code({ codes: IMAGE_KEYS }),
  },
  radiographs: { data: image("{count}", { type: "u16" }), image_key: code({ codes: IMAGE_KEYS }) },
  thickness: { thickness: scalar("um") },
  force: { force: scalar("N") },
  pressure: { pressure: scalar("kPa"), temperature: scalar("Cel") },
  truth: {
    soc: scalar("1", { long_name: "state of charge" }),
    anode_potential: scalar("V", { long_name: "anode against Li/Li+" }),
    cathode_potential: scalar("V"),
    plated_charge: scalar("mA.h/cm2"),
    dead_lithium: scalar("mA.h/cm2"),
    dendrite_height: scalar("um", { long_name: "longest tip" }),
    short_conductance: scalar("S"),
    sei_thickness: scalar("nm"),
    surface_modulus: scalar("Pa"),
    gas_dissolved: scalar("nmol/cm2"),
    gas_free: scalar("nmol/cm2"),
    temperature: scalar("Cel"),
    microscope_drift_x: scalar("nm"),
    microscope_drift_y: scalar("nm"),
    microscope_drift_z: scalar("nm"),
    stage_drift: scalar("{px}"),
    beam: scalar("1"),
    clock_offset: scalar("s", { long_name: "cycler's clock ahead of the others" }),
    event: code({ codes: EVENT_CODES }),
  },
} as const satisfies Record<string, Fields>;

export type PortName = keyof typeof PORTS;

export interface InstrumentOptions {
  readonly seed: number;
  readonly drops: number;
  readonly largestCurrent_A: number;
  readonly echemRate_Hz: number;
  readonly curveRate_Hz: number;
  readonly curvePoints: number;
  readonly mapColumns: number;
  readonly mapRows: number;
  readonly scanSize_m: number;
  readonly topographySize: number;
  readonly topographyInterval_s: number;
  readonly projectionRate_Hz: number;
  readonly projectionRows: number;
  readonly projectionColumns: number;
  readonly angleStep_deg: number;
  readonly radiographInterval_s: number;
  readonly radiographRows: number;
  readonly radiographColumns: number;
  readonly gaugeInterval_s: number;
  readonly truthInterval_s: number;
}

const TIP = {
  radius_m: 30e-9,
  springConstant_N_per_m: 20,
  sensitivity_m_per_V: 60e-9,
  poissonRatio: 0.3,
} as const;
const FORCE_SETPOINT_N = 60e-9, CLEARANCE_m = 25e-9, ADHESION_N = 3e-9; // prettier-ignore
const CURVE_NOISE = { force_N: 0.3e-9, height_m: 0.02e-9, offset_N: 1e-9, tilt_N_per_m: 2e-3 } as const;
const MODULUS_SPREAD = 0.08, OUTLIERS = 0.02; // prettier-ignore
const PIEZO_m = 2e-6;
const LINE_NOISE_m = 0.15e-9, PIXEL_NOISE_m = 0.08e-9; // prettier-ignore
const DARKS = 4, FLATS = 8; // prettier-ignore
const FLICKER = 1e-3;
const STACK_um = 190;

const onTime = (): number => 0;

export function instrumentPlans(options: InstrumentOptions): Record<PortName, () => InstrumentPlan> {
  // Surface and phantom belong to the sample: the same whichever instruments look.
  const random = (name: string): Random => new Random(options.seed, name);
  const about = { time_basis: "absolute", simulated: "true" };
  const plan = (
    port: PortName,
    interval_s: number,
    record: InstrumentPlan["record"],
    rest: Partial<InstrumentPlan> & { metadata?: Record<string, string>; fields?: Fields } = {},
  ): InstrumentPlan => {
    const { metadata, fields, ...more } = rest;
    return {
      port, interval_s, record, block: 1, latency_s: 0.2, clockOffset_s: onTime,
      loss: () => options.drops, lossRandom: random(`${port} losses`),
      schema: { fields: fields ?? PORTS[port], metadata: { ...about, ...metadata } },
      ...more,
    }; // prettier-ignore
  };

  return {
    echem: () => plan("echem", 1 / options.echemRate_Hz, cycler(options, random("echem")), {
      clockOffset_s: (world) => world.clockOffset_s,
    }),
    curves: () => plan("curves", 1 / options.curveRate_Hz, forceMap(options, random("surface"), random("curves")), {
      block: Math.max(1, Math.round(2 * options.curveRate_Hz)),
      latency_s: 0.5,
      metadata: {
        grid_columns: String(options.mapColumns),
        grid_rows: String(options.mapRows),
        grid_size_x: String(options.scanSize_m),
        grid_size_y: String(options.scanSize_m),
        first_row: "smallest y",
        tip_shape: "paraboloid",
        tip_radius: String(TIP.radius_m),
        poisson_ratio: String(TIP.poissonRatio),
        force_setpoint: String(FORCE_SETPOINT_N),
      },
    }),
    topography: () => {
      const { topographySize: size, scanSize_m } = options;
      const pixel = String(scanSize_m / size);
      return plan("topography", options.topographyInterval_s, () => ({}), {
        ...scan(options, random("surface"), random("topography")),
        latency_s: 1.5,
        fields: { ...PORTS.topography, data: image("m", { shape: [size, size] }) },
        metadata: { pixel_size_x: pixel, pixel_size_y: pixel, first_row: "smallest y" },
      });
    },
    frames: () => plan("frames", 1 / options.projectionRate_Hz, tomograph(options, random("phantom"), random("frames")), {
      block: Math.max(1, Math.round(2 * options.projectionRate_Hz)),
      latency_s: 0.5,
      loss: (world) => Math.max(options.drops, world.frameLoss),
      fields: {
        ...PORTS.frames,
        data: image("{count}", { type: "u16", shape: [options.projectionRows, options.projectionColumns] }),
      },
      metadata: {
        ...pixelSize((10e-6 * 128) / options.projectionColumns),
        rotation_axis: String(rotationAxis(options.projectionColumns)),
      },
    }),
    radiographs: () => {
      const { radiographRows: rows, radiographColumns: columns } = options;
      const pixel = String(0.8e-3 / columns);
      return plan("radiographs", options.radiographInterval_s, camera(options, random("radiograph sample"), random("radiographs")), {
        latency_s: 0.5,
        fields: { ...PORTS.radiographs, data: image("{count}", { type: "u16", shape: [rows, columns] }) },
        metadata: { pixel_size_x: pixel, pixel_size_y: pixel },
      });
    },
    thickness: () => {
      const noise = random("thickness");
      return plan("thickness", options.gaugeInterval_s, ({ cell }) => ({ thickness: STACK_um + cell.displacement_um + 0.02 * noise.normal() }));
    },
    force: () => {
      const noise = random("force");
      return plan("force", options.gaugeInterval_s, (world) => ({
        force: world.cell.force_N + world.fixtureForce_N + 0.15 * noise.normal(),
      }));
    },
    pressure: () => {
      const noise = random("pressure");
      return plan("pressure", options.gaugeInterval_s, ({ cell }) => ({
        pressure: cell.pressure_Pa / 1e3 + 0.02 * noise.normal(),
        temperature: cell.temperature_K - 273.15 + 0.05 * noise.normal(),
      }));
    },
    truth: () => plan("truth", options.truthInterval_s, truth, { loss: () => 0, latency_s: 0 }),
  }; // prettier-ignore
}

/** Of a parallel beam the detector's pixels are as large as at the sample. */
const pixelSize = (size_m: number): Record<string, string> =>
  Object.fromEntries(
    ["pixel_size_x", "pixel_size_y", "sample_pixel_size_x", "sample_pixel_size_y"].map((name) => [
      name,
      String(size_m),
    ]),
  );

/** Column that the axis of rotation falls on: in the middle, but for a little that nobody aligned; pixel i is centred on i. */
export const rotationAxis = (columns: number): number => (columns - 1) / 2 + 0.75;

/** White and 1/f noise, through a converter of 16 bits. */
function cycler({ largestCurrent_A }: InstrumentOptions, noise: Random): InstrumentPlan["record"] {
  const range_A = 10 ** Math.ceil(Math.log10(largestCurrent_A * 1.05));
  const slow = [10, 100, 1000].map((time_s) => ({ time_s, value: 0 }));
  let before_s = 0;
  return ({ time_s, cell, protocol }) => {
    for (const part of slow) {
      const keep = Math.exp(-(time_s - before_s) / part.time_s);
      part.value = part.value * keep + 30e-6 * Math.sqrt(1 - keep * keep) * noise.normal();
    }
    before_s = time_s;
    const voltage = cell.voltage_V + 40e-6 * noise.normal() + slow.reduce((sum, { value }) => sum + value, 0);
    const current = cell.current_A_per_m2 * cell.build.area_m2 + 2e-4 * range_A * noise.normal();
    return {
      test_time_second: time_s,
      voltage_volt: converted(voltage, 5),
      current_ampere: converted(current, range_A),
      cycle_count: protocol.cycle,
      step_count: protocol.step,
    };
  };
}

const converted = (value: number, range: number): number =>
  Math.round((value / range) * 32768) * (range / 32768);

const surfaceState = ({ cell }: World): SurfaceState => ({
  sei_m: cell.sei_m,
  lithium_m: lithiumThickness_m(cell.plated_C_per_m2 + cell.dead_C_per_m2),
  modulus_Pa: cell.surfaceModulus_Pa,
});

/** Force curves over a map, line by line, again and again; where the microscope believes to be has drifted. */
function forceMap(options: InstrumentOptions, sample: Random, noise: Random): InstrumentPlan["record"] {
  const { curvePoints, mapColumns, mapRows, scanSize_m } = options;
  const surface = new Surface(sample);
  return (world, k) => {
    const index = k % (mapColumns * mapRows);
    const x = ((index % mapColumns) + 0.5) * (scanSize_m / mapColumns);
    const y = (Math.floor(index / mapColumns) + 0.5) * (scanSize_m / mapRows);
    const drift = world.microscopeDrift_m;
    const state = surfaceState(world);
    const lot = noise.uniform();
    const spread = noise.lognormal(1, MODULUS_SPREAD);
    const debris = lot < OUTLIERS / 2 ? 0.1 : 1;
    const clean = forceCurve({
      modulus_Pa: surface.modulus_Pa(x + drift.x, y + drift.y, state) * spread * debris,
      contactPoint_m: PIEZO_m + surface.height_m(x + drift.x, y + drift.y, state) + drift.z,
      points: curvePoints,
      tipRadius_m: TIP.radius_m,
      poissonRatio: TIP.poissonRatio,
      springConstant_N_per_m: TIP.springConstant_N_per_m,
      forceSetpoint_N: FORCE_SETPOINT_N,
      clearance_m: CLEARANCE_m,
      adhesion_N: ADHESION_N,
    });
    if (lot > 1 - OUTLIERS / 2) clean.force.fill(0); // the tip never reached the surface
    const { height, force, segment } = withNoise(clean, CURVE_NOISE, noise);
    return {
      height, force, segment, index, map: Math.floor(k / (mapColumns * mapRows)), x, y,
      spring_constant: TIP.springConstant_N_per_m, deflection_sensitivity: TIP.sensitivity_m_per_V,
    }; // prettier-ignore
  };
}

/** An image line by line while time goes on, so that drift shears it: up, then down, then up again. */
function scan(
  options: InstrumentOptions,
  sample: Random,
  noise: Random,
): Pick<InstrumentPlan, "watch" | "record"> {
  const { topographySize: size, topographyInterval_s, scanSize_m } = options;
  const surface = new Surface(sample);
  const pixel = scanSize_m / size;
  const done: Float32Array[] = [];
  let picture = new Float32Array(size * size);
  let lines = 0;
  const watch = (world: World): void => {
    const due = Math.floor((world.time_s / topographyInterval_s) * size + 1e-6);
    for (; lines < due; lines++) {
      const line = lines % size;
      const row = Math.floor(lines / size) % 2 ? size - 1 - line : line;
      const drift = world.microscopeDrift_m;
      const z = surface.line(drift.x, drift.y + row * pixel, pixel, size, surfaceState(world));
      const offset = drift.z + LINE_NOISE_m * noise.normal();
      for (let i = 0; i < size; i++)
        picture[row * size + i] = z[i]! + offset + PIXEL_NOISE_m * noise.normal();
      if (line === size - 1) {
        done.push(picture);
        picture = new Float32Array(size * size);
      }
    }
  };
  return {
    watch,
    record: (_, index): Row => ({
      data: done.shift()!,
      index,
      slow_scan: index % 2,
      duration: topographyInterval_s,
    }),
  };
}

/** Darks, flats, then projections of a stage that never stops. */
function tomograph(options: InstrumentOptions, sample: Random, noise: Random): InstrumentPlan["record"] {
  const { projectionRows: rows, projectionColumns: columns, angleStep_deg } = options;
  const phantom = cellPhantom(columns, sample);
  const profile = beamProfile(columns, sample);
  return (world, k) => {
    const key = k < DARKS ? 2 : k < DARKS + FLATS ? 1 : 0;
    const angle_deg = key === 0 ? (k - DARKS - FLATS) * angleStep_deg : 0;
    const flicker = 1 + FLICKER * noise.normal();
    const axis = rotationAxis(columns) + 0.5 + world.stageDrift_px; // lineIntegrals counts from the edge
    const p = key === 0
      ? lineIntegrals(phantom, bubbleSpheres(world.bubbles), (angle_deg * Math.PI) / 180, axis, rows, columns)
      : undefined; // prettier-ignore
    const beam = key === 2 ? 0 : world.beam * flicker;
    const data = expose(profile, beam, p, rows * columns, noise);
    return { data, rotation_angle: angle_deg, image_key: key };
  };
}

function camera(options: InstrumentOptions, sample: Random, noise: Random): InstrumentPlan["record"] {
  const { radiographRows: rows, radiographColumns: columns } = options;
  const cell = radiography(rows, columns, sample);
  const profile = beamProfile(columns, sample);
  return (world, k) => {
    const key = k < DARKS / 2 ? 2 : k < (DARKS + FLATS) / 2 ? 1 : 0;
    const flicker = 1 + FLICKER * noise.normal();
    const p = key === 0 ? radiographIntegrals(cell, world.bubbles, world.stageDrift_px) : undefined;
    const beam = key === 2 ? 0 : world.beam * flicker;
    return { data: expose(profile, beam, p, rows * columns, noise), image_key: key };
  };
}

const C_per_m2_PER_mAh_per_cm2 = 36000;

function truth(world: World): Row {
  const { cell } = world;
  const drift = world.microscopeDrift_m;
  const { event } = world;
  return {
    soc: cell.soc,
    anode_potential: cell.anodePotential_V,
    cathode_potential: cell.cathodePotential_V,
    plated_charge: cell.plated_C_per_m2 / C_per_m2_PER_mAh_per_cm2,
    dead_lithium: cell.dead_C_per_m2 / C_per_m2_PER_mAh_per_cm2,
    dendrite_height: cell.dendrite_m * 1e6,
    short_conductance: cell.shortConductance_S,
    sei_thickness: cell.sei_m * 1e9,
    surface_modulus: cell.surfaceModulus_Pa,
    gas_dissolved: cell.dissolved_mol_per_m2 * 1e5,
    gas_free: cell.gas_mol_per_m2 * 1e5,
    temperature: cell.temperature_K - 273.15,
    microscope_drift_x: drift.x * 1e9,
    microscope_drift_y: drift.y * 1e9,
    microscope_drift_z: drift.z * 1e9,
    stage_drift: world.stageDrift_px,
    beam: world.beam,
    clock_offset: world.clockOffset_s,
    event: event ? EVENTS[event].code : 0,
  };
}
