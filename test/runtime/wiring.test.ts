import { describe, expect, test } from "vitest";
import {
  choice, code, curve, defineOperator, defineSink, defineSource, flag, image, integer, list, quantity, scalar, text, wire,
  WiringError, type PipelineSpec, type Registry,
} from "../../runtime/index.ts"; // prettier-ignore

const cycler = defineSource({
  name: "echem/file",
  output: { echem: { test_time_second: scalar("s"), voltage_volt: scalar("V") } },
  config: { path: text("", { doc: "file" }) },
  async *open() {},
});

const bench = defineSource({
  name: "simulated/bench",
  closed: true,
  output: {
    cycler: { voltage_volt: scalar("V") },
    frames: { data: image("{count}", { type: "u16" }), image_key: code() },
  },
  config: { seed: integer(1, { min: 0 }) },
  async *open() {},
});

const nothing = () => ({ step() {} });

const flatField = defineOperator({
  name: "tomography/flat-field",
  input: { frames: { data: image("{count}"), image_key: code() } },
  output: ({ frames }) => ({ projections: { data: { ...frames.data, unit: "1", type: "f32" } } }),
  config: { min_signal: quantity("{count}", 1, { min: 0 }) },
  key: "row",
  start: nothing,
});

const backProject = defineOperator({
  name: "tomography/back-project",
  input: { projections: { data: image("1") } },
  output: { slices: { data: image("1/{px}") } },
  config: { slices: list(["z=0"]), filter: choice(["ramp", "hann"], "ramp") },
  start: nothing,
});

const chart = defineOperator({
  name: "onset/cusum",
  input: { feature: {} },
  output: ({ feature }, { column }) => {
    if (!(column in feature)) throw new WiringError(`feature has no column ${column}`);
    return { onset: { level: code(), score: { ...feature[column]!, unit: "1" } } };
  },
  config: { column: text("voltage_volt") },
  start: nothing,
});

const join = defineOperator({
  name: "correlate/join",
  input: { "*": {} },
  output: (inputs) => ({
    joined: Object.fromEntries(
      Object.entries(inputs).flatMap(([port, fields]) =>
        Object.entries(fields).map(([name, field]) => [`${port}_${name}`, field]),
      ),
    ),
  }),
  config: {},
  start: nothing,
});

const modulus = defineOperator({
  name: "mechanics/modulus",
  input: { curves: { height: curve("m"), force: curve("N") } },
  output: { modulus: { modulus: scalar("Pa") } },
  config: { tip_radius: quantity("nm", 10, { min: 0 }) },
  start: nothing,
});

const view = defineSink({
  name: "websocket",
  config: { port: integer(8080) },
  open: async () => ({ close: async () => {} }),
});

const registry: Registry = {
  sources: [cycler, bench],
  operators: [flatField, backProject, chart, join, modulus],
  sinks: [view],
};

const whole: PipelineSpec = {
  run: { name: "test", directory: "runs" },
  experiment: { cell: "7" },
  sources: {
    cell: { use: "simulated/bench", with: { seed: 3 } },
    bench2: { use: "echem/file", with: { path: "a.mpr", pace: "20 Hz" } },
  },
  operators: {
    slices: { use: "tomography/back-project", from: "flat.projections", with: {} },
    flat: {
      use: "tomography/flat-field",
      from: { frames: "cell.frames" },
      with: { min_signal: 2 },
      place: "workers",
    },
    chart: { use: "onset/cusum", from: "cell.cycler", with: {} },
    table: { use: "correlate/join", from: { b: "bench2.echem", a: "chart.onset" }, with: {} },
  },
  alarms: { drift: { when: "chart.onset", priority: "high", deliver: ["log"] } },
  sinks: { view: { use: "websocket", with: {} } },
};

const problemsOf = (change: Partial<PipelineSpec>) =>
  wire({ ...whole, ...change }, registry).problems.map(
    ({ path, message }) => `${path.join(".")}: ${message}`,
  );

const operatorProblems = (operators: PipelineSpec["operators"]) =>
  problemsOf({ operators: { ...whole.operators, ...operators } });

test("plans a pipeline without mistakes, each operator after those that feed it", () => {
  const { plan, problems } = wire(whole, registry);
  expect(problems).toEqual([]);
  expect(plan!.operators.map(({ name }) => name)).toEqual(["flat", "slices", "chart", "table"]);
  expect(plan!.operators[0]).toMatchObject({
    config: { min_signal: 2 },
    place: "workers",
    inputs: { frames: "cell.frames" },
  });
  expect(plan!.operators[1]).toMatchObject({ place: "main", inputs: { projections: "flat.projections" } });
  expect(Object.keys(plan!.operators[3]!.inputs)).toEqual(["b", "a"]);
  expect(plan!.sources[1]).toMatchObject({
    config: { path: "a.mpr" },
    common: { pace: 20, idle_after: 0, timezone: "", start: undefined, record: "data" },
  });
  expect(plan!.alarms).toEqual([{ name: "drift", when: "chart.onset", priority: "high", deliver: ["log"] }]);
  expect(plan!.sinks[0]!.config).toEqual({ port: 8080 });
  expect(plan!.run).toEqual({ name: "test", directory: "runs", origin: undefined });
});

test("places a source and the run's origin by hand", () => {
  const { plan } = wire({
    ...whole,
    run: { ...whole.run, origin: "2026-11-22T11:15:00+01:00" },
    sources: { ...whole.sources, bench2: { use: "echem/file", with: { start: "2026-11-22T10:15:00.25Z" } } },
  }, registry); // prettier-ignore
  expect(plan!.run.origin).toBe(1795342500_000000000n);
  expect(plan!.sources[1]!.common.start).toBe(1795342500_250000000n);
});

test("reports every mistake, none hiding another", () => {
  const problems = problemsOf({
    sources: {
      ...whole.sources,
      cell: { use: "simulated/bench", with: { sead: 1, idle_after: "3 V" } },
      Big: { use: "echem/fil", with: {} },
    },
    operators: {
      ...whole.operators,
      flat: { use: "tomography/flat-field", from: "cell.frame", with: { min_signal: -1 }, place: "wörker" },
    },
    alarms: { drift: { when: "chart.onsets", priority: "urgent", deliver: ["pigeon"] } },
    sinks: { view: { use: "websockt", with: {} }, cell: { use: "websocket", with: { port: 1.5 } } },
  });
  expect(problems).toEqual([
    `sources.Big: "Big" cannot be a name: small letters, digits, _ and -, a letter first`,
    "sinks.cell: the name cell is taken by sources.cell; each node needs one of its own",
    "sources.cell.idle_after: V cannot be converted to s",
    "sources.cell.sead: sead is not known; did you mean seed? Allowed: seed, pace, idle_after, timezone, start, record",
    "sources.Big.use: source echem/fil is not known; did you mean echem/file? Allowed: echem/file, simulated/bench",
    "operators.flat.with.min_signal: -1 {count} is below 0 {count}",
    "operators.flat.from: cell has no port frame; did you mean frames? Its streams: cell.cycler, cell.frames",
    "operators.flat.place: wörker is not known; did you mean worker? Allowed: main, worker, workers",
    "alarms.drift.when: chart has no port onsets; did you mean onset? Its streams: chart.onset",
    expect.stringMatching(/^alarms.drift.priority: urgent is not known.* Allowed: low, medium, high$/),
    expect.stringMatching(/^alarms.drift.deliver: pigeon is not known.* Allowed: log$/),
    "sinks.view.use: sink websockt is not known; did you mean websocket? Allowed: websocket",
    "sinks.cell.port: wanted a whole number",
  ]);
});

describe("connections", () => {
  test("a stream of no node, of a node without port, of a sink", () => {
    expect(operatorProblems({ chart: { use: "onset/cusum", from: "cel.cycler", with: {} } })[0]).toMatch(
      /^operators.chart.from: cel.cycler: node cel is not known; did you mean cell\?/,
    );
    expect(operatorProblems({ chart: { use: "onset/cusum", from: "cell", with: {} } })[0]).toMatch(
      /cell is a node, not a stream; write cell.cycler or cell.frames/,
    );
    expect(operatorProblems({ chart: { use: "onset/cusum", from: "view.x", with: {} } })[0]).toMatch(
      /view is a sink/,
    );
  });

  test("a port that is missing or not known", () => {
    const [first, second, ...rest] = operatorProblems({
      flat: { use: "tomography/flat-field", from: { frame: "cell.frames" }, with: {} },
    });
    expect(first).toBe(
      "operators.flat.from.frame: port frame is not known; did you mean frames? Allowed: frames",
    );
    expect(second).toBe(
      "operators.flat.from: tomography/flat-field needs a stream at its port frames [data, image_key]",
    );
    expect(rest).toEqual([]);
  });

  test("a port that the source's options rule out", () => {
    const corrected = defineSource({
      name: "simulated/bench",
      output: {
        cycler: { voltage_volt: scalar("V") },
        frames: { data: image("{count}", { type: "u16" }), image_key: code() },
      },
      config: { corrected: flag(false) },
      gives: (config) => [config.corrected ? "cycler" : "frames"],
      async *open() {},
    });
    const operators = { flat: whole.operators["flat"]! };
    const found = (corrected_: boolean) =>
      wire(
        {
          ...whole,
          sources: { cell: { use: "simulated/bench", with: { corrected: corrected_ } } },
          operators,
          alarms: {},
        },
        { ...registry, sources: [corrected] },
      ).problems.map(({ message }) => message);
    expect(found(false)).toEqual([]);
    expect(found(true)).toEqual(["cell has no port frames. Its streams: cell.cycler"]);
  });

  test("one stream where there are several ports, or ports of any name", () => {
    expect(operatorProblems({ table: { use: "correlate/join", from: "cell.cycler", with: {} } })).toEqual([
      "operators.table.from: correlate/join has several ports; write from: { any_name: node.port }",
    ]);
    expect(operatorProblems({ table: { use: "correlate/join", from: {}, with: {} } })[0]).toMatch(
      /at least one stream/,
    );
  });

  test("a circle is named once, in the direction of flow", () => {
    const problems = operatorProblems({
      a: { use: "correlate/join", from: { in: "c.joined" }, with: {} },
      b: { use: "correlate/join", from: { in: "a.joined" }, with: {} },
      c: { use: "correlate/join", from: { in: "b.joined", too: "cell.cycler" }, with: {} },
    });
    expect(problems).toEqual(["operators.a.from: a → b → c → a goes round in a circle"]);
  });

  test("rows that came too late are a stream of their source", () => {
    expect(
      operatorProblems({ late: { use: "correlate/join", from: { x: "bench2.echem.late" }, with: {} } }),
    ).toEqual([]);
  });

  test("workers only for what keeps no state between rows", () => {
    expect(
      operatorProblems({ chart: { use: "onset/cusum", from: "cell.cycler", with: {}, place: "workers" } })[0],
    ).toMatch(/keeps state between rows.*allowed: main, worker/);
  });
});

describe("schemas", () => {
  test("what an operator gives out is checked against the next, units included", () => {
    expect(
      operatorProblems({ slices: { use: "tomography/back-project", from: "cell.frames", with: {} } }),
    ).toEqual(["operators.slices.from: projections.data must be in 1; cell.frames.data is in {count}"]);
    expect(
      operatorProblems({ e: { use: "mechanics/modulus", from: "flat.projections", with: {} } })[0],
    ).toMatch(/curves needs a column height \[m\]; flat.projections has data/);
  });

  test("columns that a file may bring are no mistake, however far the way", () => {
    expect(
      operatorProblems({
        chart: { use: "onset/cusum", from: "table.joined", with: { column: "b_temperature" } },
        table: { use: "correlate/join", from: { b: "bench2.echem" }, with: {} },
      }),
    ).toEqual([]);
  });

  test("columns that a closed source does not have are one", () => {
    expect(
      operatorProblems({
        chart: { use: "onset/cusum", from: "table.joined", with: { column: "b_temperature" } },
        table: { use: "correlate/join", from: { b: "cell.cycler" }, with: {} },
      }),
    ).toEqual(["operators.chart: feature has no column b_temperature"]);
  });

  test("an output without the columns of its input is closed, though a file feeds it", () => {
    const problems = operatorProblems({
      chart: { use: "onset/cusum", from: "bench2.echem", with: { column: "voltage_volt" } },
      e: { use: "mechanics/modulus", from: "chart.onset", with: {} },
    });
    expect(problems[0]).toMatch(/curves needs a column height/);
  });

  test("what no file can mend is a mistake, though a file feeds it", () => {
    const fit = defineOperator({
      name: "mechanics/fit",
      input: { echem: { voltage_volt: scalar("V") } },
      output: ({ echem }, { model, radius }) => {
        if (model === "sphere" && Number.isNaN(radius))
          throw new WiringError("radius must be given for a sphere");
        return { fit: { voltage: echem.voltage_volt } };
      },
      config: { model: choice(["sphere", "cone"], "sphere"), radius: quantity("nm", NaN) },
      start: nothing,
    });
    const { problems } = wire(
      { ...whole, operators: { fit: { use: "mechanics/fit", from: "bench2.echem", with: {} } }, alarms: {} },
      {
        ...registry,
        operators: [fit],
      },
    );
    expect(problems).toEqual([{ path: ["operators", "fit"], message: "radius must be given for a sphere" }]);
  });

  test("an alarm wants a level", () => {
    expect(problemsOf({ alarms: { a: { when: "cell.cycler" } } })).toEqual([
      "alarms.a.when: cell.cycler has no column level (0 clear, 1 watch, 2 alarm), which an alarm goes by; it has voltage_volt",
    ]);
  });

  test("what depends on metadata or sizes waits for the data", () => {
    const map = defineOperator({
      name: "mechanics/map",
      input: { frames: { data: image("{count}") } },
      output: ({ frames }, _, metadata) => {
        if (!metadata["frames"]!["grid_rows"]) throw new WiringError("no grid");
        return { map: { data: frames.data } };
      },
      config: {},
      start: nothing,
    });
    const halve = defineOperator({
      name: "image/halve",
      input: { frames: { data: image("{count}") } },
      output: ({ frames }) => {
        const [row] = frames.data.shape!;
        if (typeof row !== "number") throw new TypeError("size is not known yet");
        return { half: { data: image("{count}", { shape: [row / 2] }) } };
      },
      config: {},
      start: nothing,
    });
    const { problems } = wire({
      ...whole,
      operators: {
        ...whole.operators,
        map: { use: "mechanics/map", from: "cell.frames", with: {} },
        half: { use: "image/halve", from: "cell.frames", with: {} },
        next: { use: "onset/cusum", from: "half.half", with: {} },
      },
    }, { ...registry, operators: [...registry.operators, map, halve] }); // prettier-ignore
    expect(problems).toEqual([]);
  });
});

test("options that every source has give way to its own of the same name", () => {
  const own = defineSource({
    name: "own/start",
    output: { x: {} },
    config: { start: text("the beginning") },
    async *open() {},
  });
  const { plan, problems } = wire({
    ...whole,
    sources: { ...whole.sources, own: { use: "own/start", with: { start: "later" } } },
  }, { ...registry, sources: [...registry.sources, own] }); // prettier-ignore
  expect(problems).toEqual([]);
  expect(plan!.sources.at(-1)).toMatchObject({ config: { start: "later" }, common: { start: undefined } });
});

test.each([
  ["timezone", "Mars/Olympus", /not a time zone/],
  ["start", "2026-11-22T10:15:00", /does not say its zone/],
  ["start", "2026-02-30T10:15:00Z", /no such day/],
  ["record", "links", /not one of data, reference/],
])("%s: %s is refused", (key, value, message) => {
  const sources = { ...whole.sources, bench2: { use: "echem/file", with: { path: "a", [key]: value } } };
  expect(problemsOf({ sources })).toEqual([expect.stringMatching(message)]);
});

test("a pipeline without sources is refused", () => {
  expect(problemsOf({ sources: {}, operators: {}, alarms: {} })).toEqual([
    "sources: a pipeline needs at least one source",
  ]);
});
