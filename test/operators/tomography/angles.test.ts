import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { angles, scatter, unwrapped } from "../../../operators/tomography/angles.ts";
import { code, image, scalar, WiringError, type Fields } from "../../../runtime/index.ts";
import { outputSchemas } from "../../../runtime/instance.ts";
import { feed } from "../../helpers/feed.ts";

const ns = (seconds: ArrayLike<number>): BigInt64Array => BigInt64Array.from(Array.from(seconds), (s) => BigInt(Math.round(s * 1e9))); // prettier-ignore

/** Numbers in [0, 1) that are the same every time. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** Frames of 1 × 2 counts at these times; frame i holds i, 2 i. */
function framesAt(seconds: readonly number[], keys?: readonly number[]) {
  return {
    time: ns(seconds),
    data: Uint16Array.from(seconds.flatMap((_, i) => [i, 2 * i])),
    ...(keys && { image_key: Int32Array.from(keys) }),
  };
}
const FRAMES: Fields = {
  data: image("{count}", { type: "u16", shape: [1, 2] }),
  image_key: code(),
  rotation_angle: scalar("deg"),
};
const ENCODER: Fields = { rotation_angle: scalar("deg"), position: scalar("mrad") };
const schema = { frames: FRAMES, encoder: ENCODER };
const encoderAt = (seconds: readonly number[], angle: (s: number) => number) => ({
  time: ns(seconds),
  rotation_angle: Float64Array.from(seconds, angle),
});
const every = (spacing: number, n: number, from = 0): number[] =>
  Array.from({ length: n }, (_, i) => from + i * spacing); // prettier-ignore
const round = (values: Iterable<number>, digits = 9): number[] =>
  [...values].map((x) => Math.round(x * 10 ** digits) / 10 ** digits); // prettier-ignore

describe("truth", () => {
  // 10 deg/s; frames of 0.4 s end at 1, 2, 3 s: their middles are 0.8, 1.8, 2.8 s
  const encoder = encoderAt(every(0.25, 20), (s) => 10 * s);

  test("the angle is the stage's in the middle of the exposure", () => {
    const { frames, faults } = feed(angles, { frames: framesAt([1, 2, 3]), encoder }, { schema, with: { exposure: "400 ms" } });
    expect(round(frames.rotation_angle)).toEqual([8, 18, 28]);
    expect([...frames.data]).toEqual([0, 0, 1, 2, 2, 4]);
    expect(frames.data).toBeInstanceOf(Uint16Array);
    expect(faults).toEqual([]);
  }); // prettier-ignore

  test("an encoder's clock that is ahead is allowed for", () => {
    const ahead = encoderAt(every(0.25, 40), (s) => 10 * (s - 0.3));
    const { frames } = feed(angles, { frames: framesAt([1, 2, 3]), encoder: ahead }, { schema, with: { exposure: "400 ms", delay: "0.3 s" } });
    expect(round(frames.rotation_angle)).toEqual([8, 18, 28]);
    const behind = encoderAt(every(0.25, 40, -5), (s) => 10 * (s + 3));
    const { frames: late } = feed(angles, { frames: framesAt([1, 2, 3]), encoder: behind }, { schema, rows: 1, with: { exposure: "400 ms", delay: "-3 s" } });
    expect(round(late.rotation_angle)).toEqual([8, 18, 28]);
  }); // prettier-ignore

  test("an encoder that starts over after a turn, either way, and one that is read in another unit", () => {
    const turning = encoderAt(every(0.5, 200), (s) => (100 * s) % 360);
    const { frames } = feed(angles, { frames: framesAt([3.55, 7.25, 99]), encoder: turning }, { schema });
    expect(round(frames.rotation_angle)).toEqual([355, 725, 9900]);
    const back = encoderAt(every(0.5, 200), (s) => (((-100 * s) % 360) + 360) % 360);
    const { frames: backwards } = feed(angles, { frames: framesAt([3.55, 99]), encoder: back }, { schema });
    expect(round(backwards.rotation_angle)).toEqual([-355, -9900]);
    const position = { time: ns([0, 1]), position: Float64Array.of(0, 1000 * Math.PI) };
    const { frames: radians } = feed(angles, { frames: framesAt([0.5]), encoder: position }, { schema, with: { column: "position", period: 0 } });
    expect(round(radians.rotation_angle)).toEqual([90]);
  }); // prettier-ignore

  test("the encoder's angle takes the place of the one that was asked for; other columns are handed on", () => {
    const given = {
      ...framesAt([1, 2]),
      rotation_angle: Float64Array.of(11, 19),
      beam_monitor: Float64Array.of(5, 6),
    };
    const fields = { ...FRAMES, beam_monitor: scalar("1") };
    const { frames } = feed(
      angles,
      { frames: given, encoder },
      { schema: { frames: fields, encoder: ENCODER } },
    );
    expect(round(frames.rotation_angle)).toEqual([10, 20]);
    expect([...frames.beam_monitor]).toEqual([5, 6]);
  });

  test("projections are like frames", () => {
    const projections = { time: ns([1, 2]), data: Float32Array.of(0.5, 1, 0.25, NaN) };
    const fields = { data: image("1", { shape: [1, 2] }) };
    const { frames } = feed(
      angles,
      { frames: projections, encoder },
      { schema: { frames: fields, encoder: ENCODER } },
    );
    expect(round(frames.rotation_angle)).toEqual([10, 20]);
    expect([...frames.data]).toEqual([0.5, 1, 0.25, NaN]);
  });

  test("flats and darks have no angle, and that is no fault", () => {
    const { frames, faults } = feed(
      angles,
      { frames: framesAt([1, 2, 3, 90], [2, 1, 0, 1]), encoder },
      { schema },
    );
    expect(round(frames.rotation_angle)).toEqual([NaN, NaN, 30, NaN]);
    expect([...frames.image_key]).toEqual([2, 1, 0, 1]);
    expect(faults).toEqual([]);
  });
});

describe("a simulated stage that turns unevenly", () => {
  // 20 deg/s with a wobble of 0.5 deg at 0.7 Hz; read at 100 Hz with jitter, to 0.01 deg (1 sigma), modulo 360
  const truth = (s: number): number => 20 * s + 0.5 * Math.sin(2 * Math.PI * 0.7 * s);
  const noise_deg = 0.01;
  const run = (seed: number) => {
    const next = random(seed);
    const read = every(0.01, 6500).map((s) => s + 0.004 * next());
    const encoder = encoderAt(read, (s) => (((truth(s) + noise_deg * normal(next)) % 360) + 360) % 360);
    const ends = every(0.05, 1200, 2);
    const { frames, faults } = feed(angles, { frames: framesAt(ends), encoder }, { schema, rows: 977, with: { exposure: "20 ms" } });
    const errors: number[] = ends.map((s, i) => frames.rotation_angle[i] - truth(s - 0.01));
    return { errors, se: [...frames.rotation_angle_se] as number[], faults };
  }; // prettier-ignore

  test("its angles are found, and the errors are as large as rotation_angle_se says", () => {
    const { errors, se, faults } = run(1);
    expect(faults).toEqual([]);
    expect(Math.max(...errors.map(Math.abs))).toBeLessThan(5 * noise_deg);
    const z = errors.map((error, i) => error / se[i]!);
    const mean = z.reduce((sum, x) => sum + x, 0) / z.length;
    const spread = Math.sqrt(z.reduce((sum, x) => sum + x * x, 0) / z.length);
    // 1200 frames: z's mean is good to 0.03, its spread to 2 %, widened by the 30 % of each s (14 residuals).
    expect(Math.abs(mean)).toBeLessThan(0.12);
    expect(spread).toBeGreaterThan(0.95);
    expect(spread).toBeLessThan(1.2);
  });

  test("the scatter is that of the readings, whatever the stage's speed", () => {
    const next = random(2);
    for (const speed of [0, 1, 300]) {
      const s = every(1, 400).map(() =>
        scatter(
          every(0.01, 16).map((time_s) => ({ time_s, angle_deg: speed * time_s + 0.02 * normal(next) })),
        ),
      );
      const rms = Math.sqrt(s.reduce((sum, x) => sum + x * x, 0) / s.length);
      expect(Math.abs(rms / 0.02 - 1)).toBeLessThan(0.04);
    }
  });

  test("too few readings give an angle without an error; a step of the encoder is the least that it errs by", () => {
    const few = encoderAt([0, 1, 2, 3], (s) => s);
    const one = feed(angles, { frames: framesAt([2.5]), encoder: few }, { schema });
    expect([...one.frames.rotation_angle, ...one.frames.rotation_angle_se]).toEqual([2.5, NaN]);
    const still = encoderAt(every(0.1, 40), () => 30);
    const { frames } = feed(angles, { frames: framesAt([3.05]), encoder: still }, { schema, with: { resolution: "0.12 deg" } });
    expect(frames.rotation_angle_se[0]).toBeCloseTo((0.12 / Math.sqrt(12)) * Math.SQRT1_2, 9);
  }); // prettier-ignore
});

describe("where the encoder says nothing", () => {
  test("a pause, a stop, a late begin: NaN, and one fault for a stretch", () => {
    const read = [...every(0.1, 31, 2), ...every(0.1, 31, 10)]; // 2 … 5 s, 10 … 13 s
    const encoder = encoderAt(read, (s) => s);
    const { frames, faults } = feed(angles, { frames: framesAt(every(1, 18)), encoder }, { schema });
    expect(round(frames.rotation_angle)).toEqual([
      NaN, NaN, 2, 3, 4, 5, NaN, NaN, NaN, NaN, 10, 11, 12, 13, NaN, NaN, NaN, NaN,
    ]); // prettier-ignore
    expect(faults.map(({ time, what }: { time: bigint; what: string }) => `${Number(time) / 1e9}: ${what.split(": ")[1]}`)).toEqual([
      "0: the encoder has no sample before it; let the encoder's stream begin before the scan",
      expect.stringContaining("6: the encoder has no sample in the 1 s after it; raise tolerance"),
      expect.stringContaining("7: the encoder has no sample in the 1 s before it; raise tolerance"),
      expect.stringContaining("14: the encoder has no sample in the 1 s after it"),
      expect.stringContaining("15: the encoder has no sample in the 1 s before it"),
    ]);
  }); // prettier-ignore

  test("readings that are no numbers are none", () => {
    const encoder = encoderAt([0, 1, 2, 3, 4], (s) => (s === 2 ? NaN : s));
    const { frames } = feed(angles, { frames: framesAt([2]), encoder }, { schema });
    expect([...frames.rotation_angle]).toEqual([2]);
  });

  test("an encoder without a row", () => {
    const { frames, faults } = feed(angles, { frames: framesAt([1, 2]), encoder: encoderAt([], Number) }, { schema, with: { tolerance: Infinity } });
    expect([...frames.rotation_angle]).toEqual([NaN, NaN]);
    expect(faults).toHaveLength(1);
  }); // prettier-ignore

  test("no frames", () => {
    const { frames } = feed(angles, { frames: framesAt([]), encoder: encoderAt([1, 2], Number) }, { schema });
    expect(frames.time).toHaveLength(0);
  });

  test("more frames than may wait leave without an angle, with one fault", () => {
    // The encoder is read every 10 s, frames come every second: 4 may wait.
    const encoder = encoderAt([0, 10, 20], (s) => s);
    const given = { frames: framesAt(every(1, 20, 0.5)), encoder };
    const { frames, faults } = feed(angles, given, { schema, with: { max_held: 4, tolerance: "1 min" } });
    const late = (from: number): number[] => [from, from + 1, from + 2, from + 3];
    expect([...frames.rotation_angle]).toEqual([...Array(6).fill(NaN), ...late(6.5), ...Array(6).fill(NaN), ...late(16.5)]);
    expect(faults).toHaveLength(2);
    expect(faults[0].what).toContain("more than 4 frames wait for the encoder; raise max_held");
  }); // prettier-ignore
});

test("neither cutting, nor who comes first at one time, nor a restart changes a bit", () => {
  const times = fc.uniqueArray(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 60 });
  const sorted = (ticks: readonly number[]): number[] => ticks.toSorted((a, b) => a - b).map((k) => k / 10);
  fc.assert(
    fc.property(
      fc.record({
        frames: times, encoder: times, seed: fc.nat(), rows: fc.integer({ min: 1, max: 9 }), held: fc.integer({ min: 1, max: 5 }),
        delay: fc.integer({ min: -20, max: 20 }), exposure: fc.integer({ min: 0, max: 10 }), tolerance: fc.constantFrom("0.3 s", "2 s", Infinity, 0),
      }),
      ({ frames, encoder, seed, rows, held, delay, exposure, tolerance }) => {
        const next = random(seed);
        const given = {
          frames: framesAt(sorted(frames), frames.map(() => (next() < 0.2 ? 1 : 0))),
          encoder: encoderAt(sorted(encoder), () => (next() < 0.1 ? NaN : 720 * next() - 360)),
        };
        const options = { schema, with: { max_held: held, delay: `${delay / 10} s`, exposure: `${exposure / 10} s`, tolerance } };
        const whole = feed(angles, given, options);
        expect(whole.frames.time).toEqual(given.frames.time);
        expect(whole.frames.data).toEqual(given.frames.data);
        const cut = feed(angles, given, { ...options, rows, reloadAfter: [1, 2, 5] });
        expect(cut).toEqual(whole);
      },
    ),
    { seed: 31, numRuns: 300 },
  );
}); // prettier-ignore

test("unwrapping undoes whole periods only", () => {
  fc.assert(
    fc.property(fc.double({ min: -1e4, max: 1e4, noNaN: true }), fc.double({ min: -1e4, max: 1e4, noNaN: true }), (angle, last) => {
      const turned = unwrapped(angle, last, 360);
      expect(Math.abs(turned - last)).toBeLessThanOrEqual(180 + 1e-9);
      expect(Math.abs((turned - angle) / 360 - Math.round((turned - angle) / 360))).toBeLessThan(1e-12);
      expect(unwrapped(angle, last, 0)).toBe(angle);
    }),
    { seed: 32 },
  );
}); // prettier-ignore

describe("wiring", () => {
  const config = { column: "rotation_angle", exposure: 0, delay: 0, tolerance: 1, period: 360, resolution: 0, max_held: 32 };
  const wired = (encoder: Fields, frames: Fields = FRAMES) => () =>
    outputSchemas(angles, config, { frames: { fields: frames, metadata: { layout: "x" } }, encoder: { fields: encoder, metadata: {} } });

  test("an encoder without the column, or one that is no angle, or frames without images are refused", () => {
    expect(wired({ rotation_angel: scalar("deg") })).toThrow(WiringError);
    expect(wired({ rotation_angel: scalar("deg") })).toThrow("column: encoder has no rotation_angle; did you mean rotation_angel?");
    expect(wired({ rotation_angle: scalar("mm") })).toThrow("column: encoder.rotation_angle is in mm; wanted an angle in deg or rad");
    expect(wired(ENCODER, { picture: image("1") })).toThrow("frames needs a column data with images; it has picture");
  });

  test("metadata of the frames are handed on, and say where the angles are from", () => {
    const { frames } = wired(ENCODER)();
    expect(frames!.metadata).toEqual({ layout: "x", rotation_angles: "from the encoder (rotation_angle), in the middle of the exposure" });
    expect(Object.keys(frames!.fields).toSorted()).toEqual(["data", "image_key", "rotation_angle", "rotation_angle_se"]);
  });
}); // prettier-ignore
