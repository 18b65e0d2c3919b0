import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CommandError } from "../../cli/command-error.ts";
import { checkPipeline, loadPipeline, readPipeline } from "../../cli/pipeline.ts";
import { flatField } from "../../operators/tomography/flat-field.ts";
import {
  code,
  defineSink,
  defineSource,
  image,
  integer,
  REQUIRED,
  scalar,
  text,
  type Registry,
} from "../../runtime/index.ts";

const registry: Registry = {
  sources: [
    defineSource({
      name: "xray/frames",
      closed: true,
      output: { frames: { data: image("{count}"), rotation_angle: scalar("deg"), image_key: code() } },
      config: { path: text(REQUIRED, { doc: "file" }) },
      async *open() {},
    }),
  ],
  operators: [flatField],
  sinks: [
    defineSink({
      name: "websocket",
      config: { port: integer(8080, { min: 0, max: 65535 }) },
      open: async () => ({ close: async () => {} }),
    }),
  ],
};

const good = `run: { name: first, directory: runs }
experiment:
  cell: 7
  active_mass: 12.5 mg
  electrode_area: 1.13 cm2
sources:
  xrm: { use: xray/frames, path: scan.nxs, pace: 20 Hz }
operators:
  flat:
    use: tomography/flat-field
    from: xrm.frames
    with:
      min_signal: 2
sinks:
  view: { use: websocket }
`;

const mistakesIn = (yaml: string, set: string[] = [], sample?: string): string[] =>
  checkPipeline(
    readPipeline(
      { name: "p.yaml", text: yaml },
      set,
      sample === undefined ? undefined : { name: "sample.yaml", text: sample },
    ),
    registry,
  ).map(({ text: said }) => said);

test("reads what stands in the file", () => {
  expect(mistakesIn(good)).toEqual([]);
  expect(readPipeline({ name: "p.yaml", text: good }).spec).toEqual({
    run: { name: "first", directory: "runs" },
    experiment: { cell: "7", active_mass: 12.5, electrode_area: 1.13 },
    sources: { xrm: { use: "xray/frames", with: { path: "scan.nxs", pace: "20 Hz" } } },
    operators: { flat: { use: "tomography/flat-field", from: "xrm.frames", with: { min_signal: 2 } } },
    alarms: {},
    sinks: { view: { use: "websocket", with: {} } },
  });
});

test("shows five mistakes with line, what is allowed and the nearest right name, and starts nothing", async () => {
  const directory = await mkdtemp(join(tmpdir(), "operando "));
  const file = join(directory, "five.yaml");
  await writeFile(file, good
    .replace("sources:", "source:\n  other: {}\nsources:")
    .replace("path: scan.nxs", "paht: scan.nxs")
    .replace("from: xrm.frames", "from: xrm.frame")
    .replace("min_signal: 2", "min_signal: -1")
    .replace("use: websocket", "use: websockets")); // prettier-ignore
  const error = await loadPipeline(file, [], registry).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(CommandError);
  expect((error as CommandError).exitCode).toBe(2);
  expect((error as CommandError).message.split("\n")).toEqual([
    "five.yaml:6: source: source is not known; did you mean sources? Allowed: run, experiment, sources, operators, alarms, sinks",
    "five.yaml:9: sources.xrm.path: must be given: file",
    "five.yaml:9: sources.xrm.paht: paht is not known; did you mean path? Allowed: path, pace, idle_after, timezone, start, record",
    "five.yaml:13: operators.flat.from: xrm has no port frame; did you mean frames? Its streams: xrm.frames",
    "five.yaml:15: operators.flat.with.min_signal: -1 {count} is below 0 {count}",
    "five.yaml:17: sinks.view.use: sink websockets is not known; did you mean websocket? Allowed: websocket",
    "6 mistakes; nothing was started.",
  ]);
});

describe("form", () => {
  test.each<[string, string, string]>([
    [
      "a section that is a list",
      "sources: [a, b]",
      "p.yaml:1: sources: wanted names with what they stand for below, indented",
    ],
    [
      "a node that is a text",
      "sources:\n  xrm: xray/frames",
      "p.yaml:2: sources.xrm: wanted { use: …, and its options }",
    ],
    [
      "use misspelt",
      "sources:\n  xrm: { usw: xray/frames, path: a }",
      "p.yaml:2: sources.xrm.use: must be given: the name of a definition; is usw meant?",
    ],
    [
      "with in a source",
      good.replace("path: scan.nxs,", "with: { path: a },"),
      "p.yaml:7: sources.xrm.with: options of a source or sink stand beside use, without with",
    ],
    [
      "an option beside use",
      good.replace("    with:\n      min_signal: 2", "    min_signal: 2"),
      "p.yaml:12: operators.flat.min_signal: is not known here; options of an operator stand below with",
    ],
    [
      "a key of an operator misspelt",
      good.replace("    from:", "    form:"),
      "p.yaml:11: operators.flat.form: form is not known; did you mean from? Allowed: use, from, with, place",
    ],
    [
      "a stream that is a number",
      good.replace("xrm.frames", "3"),
      "p.yaml:11: operators.flat.from: wanted a stream such as cycler.echem, or { port: node.port, … }",
    ],
    [
      "an alarm without when",
      `${good}alarms:\n  gas: { priority: high }`,
      "p.yaml:17: alarms.gas.when: must be given: a stream with a column level, as node.port",
    ],
    [
      "a name twice",
      "sources:\n  a: { use: x }\n  a: { use: y }",
      "p.yaml:3: column 3: not YAML: Map keys must be unique",
    ],
    ["a list", "- a", "p.yaml:1: wanted sections such as sources: and operators:"],
    ["an unclosed bracket", "run: { name: first\nsources: {}", "p.yaml:2: column 1: not YAML:"],
  ])("%s", (_, yaml, said) => {
    const [first = ""] = mistakesIn(yaml).filter((one) =>
      one.startsWith(said.split(":").slice(0, 3).join(":")),
    );
    expect(first.slice(0, said.length)).toBe(said);
  });

  test("what follows from a wrong form is not reported again", () => {
    expect(mistakesIn(good.replace("use: xray/frames, ", ""))).toEqual([
      "p.yaml:7: sources.xrm.use: must be given: the name of a definition (operando list shows them)",
    ]);
  });

  test("a backslash in double quotes", () => {
    expect(mistakesIn(good.replace("scan.nxs", String.raw`"D:\data\scan.nxs"`))[0]).toMatch(
      /^p.yaml:7: column 37: \\ has a meaning of its own/,
    );
    expect(mistakesIn(good.replace("scan.nxs", String.raw`"C:\new\test.nxs"`))).toEqual([
      expect.stringMatching(/^p.yaml:7: sources.xrm.path: .*single quotes/),
    ]);
    expect(mistakesIn(good.replace("scan.nxs", String.raw`'D:\data\scan.nxs'`))).toEqual([]);
    expect(mistakesIn(good.replace("scan.nxs", String.raw`\\server\über uns\scan.nxs`))).toEqual([]);
  });
});

describe("--set", () => {
  const specWith = (...set: string[]) => readPipeline({ name: "p.yaml", text: good }, set).spec!;

  test("changes options of sources, operators and sinks, and the run", () => {
    const spec = specWith(
      "xrm.pace=5 Hz",
      "flat.min_signal=3",
      "flat.place=worker",
      "view.port=9000",
      "run.name=second",
      "experiment.sample=B2",
    );
    expect(spec.sources["xrm"]!.with["pace"]).toBe("5 Hz");
    expect(spec.operators["flat"]).toMatchObject({ place: "worker", with: { min_signal: 3 } });
    expect(spec.sinks["view"]!.with["port"]).toBe(9000);
    expect(spec.run.name).toBe("second");
    expect(spec.experiment).toMatchObject({ cell: "7", sample: "B2" });
  });

  test("takes a path as it stands, relative to where the person is", () => {
    expect(specWith("xrm.path=a b/*.h5 #2").sources["xrm"]!.with["path"]).toBe(resolve("a b/*.h5 #2"));
    expect(specWith("xrm.path=tcp://host:1").sources["xrm"]!.with["path"]).toBe("tcp://host:1");
  });

  test("says what is wrong with itself, in place of a line", () => {
    expect(mistakesIn(good, ["xrn.path=a", "flat.min_signal=-2", "nonsense", "view.port=http"])).toEqual([
      "--set xrn.path=a: node xrn is not known; did you mean xrm? Allowed: view, flat, xrm",
      "--set nonsense: write it as node.option=value, such as cycler.path=cell7.mpr",
      "--set flat.min_signal=-2: -2 {count} is below 0 {count}",
      "--set view.port=http: wanted a whole number",
    ]);
  });
});

describe("the experiment", () => {
  test("stands in sample.yaml too; the pipeline file has the last word", () => {
    const sample = {
      name: "sample.yaml",
      text: "cell: 8\nelectrolyte: 1 M LiPF6 in EC:DMC\noperator: Ada\n",
    };
    expect(readPipeline({ name: "p.yaml", text: good }, [], sample).spec!.experiment).toEqual({
      cell: "7", operator: "Ada", electrolyte: "1 M LiPF6 in EC:DMC", active_mass: 12.5, electrode_area: 1.13,
    }); // prettier-ignore
  });

  test("a mistake in sample.yaml is shown there", () => {
    expect(
      mistakesIn(good, [], "cell: 8\nelectrolite: LP30\nactive_mass: 3 V\nelectrolyte_mass: 12\n"),
    ).toEqual([
      expect.stringMatching(/^sample.yaml:4: electrolyte_mass: 12 has no unit; write "12 mg"/),
      expect.stringMatching(
        /^sample.yaml:2: electrolite: electrolite is not known; did you mean electrolyte\?/,
      ),
    ]);
    expect(mistakesIn(good, [], "cell: [")[0]).toMatch(/^sample.yaml:1: column/);
  });

  test("state, whole or in stretches of time", () => {
    const stateOf = (yaml: string) =>
      readPipeline({ name: "p.yaml", text: good.replace("  cell: 7", `  state: ${yaml}`) });
    expect(stateOf("ex situ").spec!.experiment["state"]).toEqual([{ state: "ex situ" }]);
    expect(
      stateOf(
        "[{ state: in situ, to: 2026-11-22T11:00:00+01:00 }, { state: in operando, from: 2026-11-22T10:00:00Z }]",
      ).spec!.experiment["state"],
    ).toEqual([
      { state: "in situ", to: "2026-11-22T10:00:00.000000000Z" },
      { state: "in operando", from: "2026-11-22T10:00:00.000000000Z" },
    ]);
    const mistakes = (yaml: string) => stateOf(yaml).problems.map(({ text: said }) => said);
    expect(mistakes("operando")).toEqual([
      expect.stringMatching(
        /p.yaml:3: experiment.state.*operando is not one of ex situ, in situ, in operando/,
      ),
    ]);
    expect(
      mistakes(
        "[{ state: in situ, to: 2026-11-22T11:00:00Z }, { state: ex situ, from: 2026-11-22T10:00:00Z }]",
      )[0],
    ).toMatch(/begins before the stretch above it ends/);
    expect(mistakes("[{ state: in situ, from: yesterday }]")[0]).toMatch(/"yesterday" is not a time/);
  });
});

test("a file that is not there is a mistake of the command", async () => {
  await expect(loadPipeline(join(tmpdir(), "none.yaml"), [], registry)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(/none.yaml: there is no such file/) as string,
  });
});

test("no text whatever throws anything but mistakes", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..."runsoceflt:{}[],-#'\"\\\n &*!|>x. "), maxLength: 80 }),
      fc.array(fc.string(), { maxLength: 2 }),
      (yaml, set) => {
        for (const { text: said } of checkPipeline(readPipeline({ name: "p", text: yaml }, set), registry))
          expect(said).toMatch(/^(p:\d+|--set .*): /s);
      },
    ),
    { seed: 1, numRuns: 500 },
  );
});
