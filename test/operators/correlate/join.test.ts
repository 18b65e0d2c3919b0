import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asOf, axisOf } from "../../../operators/correlate/as-of.ts";
import { join } from "../../../operators/correlate/join.ts";
import { code, curve, image, label, scalar, type Fields } from "../../../runtime/index.ts";
import type { AnyOperator } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";

const S = 1_000_000_000n;
const at = (...seconds: number[]): BigInt64Array =>
  BigInt64Array.from(seconds, (s) => BigInt(Math.round(s * 1e9)));

// The cycler says the voltage every 10 s; the microscope asks in between.
const slices = { time: at(0, 5, 10, 12, 31), mean: Float64Array.of(1, 2, 3, 4, 5) };
const echem = {
  time: at(0, 10, 20),
  voltage_volt: Float64Array.of(3, 3.1, 3.2),
  step: Int32Array.of(1, 1, 2),
};
const schema: Record<string, Fields> = {
  reference: { mean: scalar("1") },
  echem: {
    voltage_volt: scalar("V", { vendor_name: "Ewe/V" }),
    step: code({ codes: { 1: "charge", 2: "rest" } }),
  },
};
const inputs = { reference: slices, echem };

describe("ground truth", () => {
  test.each([1, 2, 3, 100])("backward, in batches of %i", (rows) => {
    const { joined, faults } = feed(join, inputs, { schema, rows, with: { tolerance: "8 s" } });
    expect(joined.time).toEqual(slices.time);
    expect(joined.mean).toEqual(slices.mean);
    expect(joined.echem_voltage_volt).toEqual(Float64Array.of(3, 3, 3.1, 3.1, NaN));
    expect(joined.echem_step).toEqual(Float64Array.of(1, 1, 1, 1, NaN));
    expect(joined.echem_age).toEqual(Float64Array.of(0, 5, 0, 2, NaN));
    expect(faults).toEqual([]);
  });

  test.each([1, 2, 3, 100])("nearest, in batches of %i", (rows) => {
    const options = { schema, rows, with: { tolerance: "9 s", direction: "nearest" } };
    const early = { reference: { time: at(4, 5, 6, 14.5, 29, 29.1), mean: new Float64Array(6) }, echem };
    const { joined } = feed(join, early, options);
    expect(joined.echem_age).toEqual(Float64Array.of(4, 5, -4, 4.5, 9, NaN)); // of two equally near the earlier
    expect(joined.echem_voltage_volt).toEqual(Float64Array.of(3, 3, 3.1, 3.1, 3.2, NaN));
  });

  test("a match is never further away than the tolerance, to the nanosecond", () => {
    const reference = { time: BigInt64Array.of(3n * S, 3n * S + 1n), mean: Float64Array.of(0, 0) };
    const one = { echem: { time: at(1), voltage_volt: Float64Array.of(3) }, reference };
    const { joined } = feed(join, one, { schema, with: { tolerance: "2 s" } });
    expect(joined.echem_voltage_volt).toEqual(Float64Array.of(3, NaN));
    expect(joined.echem_age).toEqual(Float64Array.of(2, NaN));
  });

  test("of rows at one time the last counts", () => {
    const twice = { time: at(0, 0, 10, 10), voltage_volt: Float64Array.of(1, 2, 3, 4) };
    for (const direction of ["backward", "nearest"]) {
      const reference = { time: at(0, 8, 10), mean: new Float64Array(3) };
      const { joined } = feed(
        join,
        { reference, echem: twice },
        { schema, with: { tolerance: "1 min", direction } },
      );
      expect(joined.echem_voltage_volt).toEqual(Float64Array.of(2, direction === "backward" ? 2 : 4, 4));
    }
  });

  test("any number of streams, each under its name", () => {
    const force = { time: at(4), force: Float32Array.of(1.5) };
    const more = { ...schema, force: { force: scalar("N", { type: "f32" }) } };
    const { joined } = feed(join, { ...inputs, force }, { schema: more, with: { tolerance: "10 s" } });
    expect(joined.force_force).toEqual(Float32Array.of(NaN, 1.5, 1.5, 1.5, NaN));
    expect(joined.echem_age).toEqual(Float64Array.of(0, 5, 0, 2, NaN));
    expect(Object.keys(joined)).toEqual([
      "time",
      "mean",
      "echem_age",
      "echem_voltage_volt",
      "echem_step",
      "force_age",
      "force_force",
    ]);
  });
});

// Against a join that looks at every pair.

interface Other { time: bigint[]; value: number[] } // prettier-ignore
function bruteForce(reference: bigint[], other: Other, tolerance: bigint, nearest: boolean): number[] {
  return reference.map((t) => {
    let best = -1;
    other.time.forEach((u, j) => {
      const distance = t >= u ? t - u : u - t;
      if (distance > tolerance || (!nearest && u > t)) return;
      const b = best < 0 ? undefined : other.time[best]!;
      const least = b === undefined ? undefined : t >= b ? t - b : b - t;
      if (least === undefined || distance < least || (distance === least && u === b)) best = j;
    });
    return best < 0 ? NaN : other.value[best]!;
  });
}

const times = fc
  .array(fc.bigInt({ min: 0n, max: 60n }), { maxLength: 30 })
  .map((t) => t.sort((a, b) => Number(a - b)));
const cases = fc.record({
  reference: times.filter((t) => t.length > 0), a: times, b: times, tolerance: fc.integer({ min: 0, max: 20 }),
  nearest: fc.boolean(), rows: fc.integer({ min: 1, max: 20 }), reloadAfter: fc.array(fc.integer({ min: 1, max: 10 })),
}); // prettier-ignore

test("equals a join by brute force, cut anywhere, saved and loaded anywhere", () => {
  const many: Record<string, Fields> = {
    reference: { id: scalar("1") },
    a: { x: scalar("V") },
    b: { x: scalar("A") },
  };
  fc.assert(
    fc.property(cases, ({ reference, a, b, tolerance, nearest, rows, reloadAfter }) => {
      const stream = (time: bigint[], from: number): { time: BigInt64Array; values: Float64Array } => ({
        time: BigInt64Array.from(time), values: Float64Array.from(time, (_, i) => from + i),
      }); // prettier-ignore
      const [r, p, q] = [stream(reference, 0), stream(a, 100), stream(b, 200)];
      const { joined } = feed(
        join,
        {
          reference: { time: r.time, id: r.values },
          a: { time: p.time, x: p.values },
          b: { time: q.time, x: q.values },
        },
        {
          schema: many,
          rows,
          reloadAfter,
          with: { tolerance: `${tolerance} ns`, direction: nearest ? "nearest" : "backward" },
        },
      );
      expect([...joined.time]).toEqual(reference);
      expect([...joined.id]).toEqual([...r.values]);
      expect([...joined.a_x]).toEqual(
        bruteForce(reference, { time: a, value: [...p.values] }, BigInt(tolerance), nearest),
      );
      expect([...joined.b_x]).toEqual(
        bruteForce(reference, { time: b, value: [...q.values] }, BigInt(tolerance), nearest),
      );
      joined.a_age.forEach((age: number) =>
        expect(Number.isNaN(age) || Math.abs(age) <= tolerance / 1e9).toBe(true),
      );
    }),
    { numRuns: 400, seed: 11 },
  );
});

test("times of today match as those of 1970 do", () => {
  const now = 1_795_000_000n * S;
  const shifted = BigInt64Array.of(now, now + 4_294_967_296n, now + 9_000_000_000n);
  const matches = asOf(axisOf(BigInt64Array.of(now - 1n, now, now + 4_294_967_295n, now + 8_999_999_999n)), axisOf(shifted), {
    tolerance_ns: Infinity, direction: "backward",
  }); // prettier-ignore
  expect([...matches]).toEqual([-1, 0, 0, 1]);
});

describe("columns", () => {
  const rich: Record<string, Fields> = {
    reference: { data: image("1", { shape: [1, 2] }), line: curve("N"), index: code(), name: label() },
    afm: { E: scalar("Pa", { uncertainty: "E_se" }), E_se: scalar("Pa"), of_time: scalar("ns", { type: "i64" }), map: image("Pa", { shape: [1, 1] }) },
  }; // prettier-ignore
  const given = {
    reference: {
      time: at(0, 1), data: Float32Array.of(1, 2, 3, 4), index: Int32Array.of(7, 8), name: ["a", "b"],
      line: { values: Float64Array.of(5, 6, 7), offsets: Int32Array.of(0, 1, 3) },
    },
    afm: { time: at(0), E: Float64Array.of(1e9), E_se: Float64Array.of(1e7), of_time: BigInt64Array.of(5n), map: Float32Array.of(0) },
  }; // prettier-ignore
  const options = { schema: rich, with: { tolerance: "5 s" } };

  test("scalars and codes unless said otherwise; images of the reference only if asked for", () => {
    expect(Object.keys(feed(join, given, options).joined)).toEqual([
      "time",
      "index",
      "afm_age",
      "afm_E",
      "afm_E_se",
    ]);
    for (const [direction, rows] of [
      ["backward", 2],
      ["nearest", 1],
    ] as const) {
      // prettier-ignore
      const { joined } = feed(join, given, { ...options, rows, with: { tolerance: "5 s", images: true, direction } });
      expect(joined.data).toEqual(given.reference.data);
      expect(joined.line).toEqual(given.reference.line);
    }
  });

  test("those that are named, of the ports that are named", () => {
    const columns = ["afm.E", "reference.name"];
    const { joined } = feed(join, given, { ...options, with: { tolerance: "5 s", columns } });
    expect(Object.keys(joined)).toEqual(["time", "name", "afm_age", "afm_E"]);
    expect(joined.name).toEqual(["a", "b"]);
  });

  test("units, names and uncertainties go with them", () => {
    const output = join.output as (inputs: Record<string, Fields>, config: unknown) => { joined: Fields };
    const config = { tolerance: 5, direction: "backward", columns: [], images: false };
    const { joined } = output(rich, config);
    expect(joined["afm_E"]).toMatchObject({ unit: "Pa", uncertainty: "afm_E_se", kind: "scalar" });
    expect(joined["afm_age"]).toMatchObject({ unit: "s" });
    expect(output(schema, config).joined["echem_step"]).toMatchObject({
      kind: "scalar",
      type: "f64",
      codes: { 1: "charge" },
    });
    const without = output(rich, { ...config, columns: ["afm.E"] }).joined;
    expect(without["afm_E"]!.uncertainty).toBeUndefined();
  });

  test.each([
    [{ columns: ["afm.e"] }, /there is no afm\.e; did you mean afm\.E\?/],
    [{ columns: ["E"] }, /there is no E/],
    [{ columns: ["afm.map"] }, /afm\.map is an image, which cannot be missing/],
    [{ columns: ["afm.of_time"] }, /afm\.of_time holds 64-bit integers/],
    [{ direction: "nearest", tolerance: "1e400 s" }, /nearest needs a finite tolerance/],
    [{ tolerance: "5" }, /has no unit/],
    [{ tolerance: "-1 s" }, /below 0 s/],
  ])("%j is refused", (config, message) => {
    expect(() => feed(join, given, { ...options, with: { tolerance: "5 s", ...config } })).toThrow(message);
  });

  test("two columns of one name are refused, and a join of nothing", () => {
    const clash = { reference: { afm_E: scalar("1") }, afm: { E: scalar("Pa") } };
    const rows = {
      reference: { time: at(0), afm_E: Float64Array.of(1) },
      afm: { time: at(0), E: Float64Array.of(1) },
    };
    expect(() => feed(join, rows, { schema: clash, with: { tolerance: "1 s" } })).toThrow(
      /two columns would be called afm_E/,
    );
    expect(() => feed(join, { reference: slices }, { schema, with: { tolerance: "1 s" } })).toThrow(
      /needs a stream to join/,
    );
  });
});

describe("the stream", () => {
  test("empty, and a reference alone", () => {
    const none = { time: at(), voltage_volt: new Float64Array(0), step: new Int32Array(0) };
    const nothing = { reference: { time: at(), mean: new Float64Array(0) }, echem: none };
    expect(feed(join, nothing, { schema, with: { tolerance: "1 s" } }).joined.time.length).toBe(0);
    for (const direction of ["backward", "nearest"]) {
      const { joined } = feed(
        join,
        { reference: slices, echem: none },
        { schema, rows: 1, with: { tolerance: "1 s", direction } },
      );
      expect(joined.echem_voltage_volt).toEqual(new Float64Array(5).fill(NaN));
    }
  });

  test("holds no more than what may still match", () => {
    const n = 2000;
    const fast = {
      time: BigInt64Array.from({ length: n }, (_, i) => BigInt(i) * S),
      voltage_volt: new Float64Array(n),
    };
    const reference = { time: at(n), mean: Float64Array.of(1) };
    const sizes: number[] = [];
    const watched = {
      ...join,
      start: (config: never, context: never) => {
        const instance = join.start(config, context);
        return { ...instance, step(...rows: Parameters<typeof instance.step>) {
          instance.step(...rows);
          for (const held of Object.values(instance.save!() as Record<string, { time: BigInt64Array }>)) sizes.push(held.time.length);
        } }; // prettier-ignore
      },
    } as unknown as AnyOperator;
    for (const direction of ["backward", "nearest"]) {
      sizes.length = 0;
      feed(watched, { reference, echem: fast }, { schema, rows: 100, with: { tolerance: "5 s", direction } });
      expect(Math.max(...sizes)).toBe(1);
    }
  });
});
