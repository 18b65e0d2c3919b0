/**
 * Runs what README and docs show: programs, pipeline files, commands with what they print, definitions with their
 * tests. The program of docs/protocol.md runs in test/sinks/websocket-docs.test.ts.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { checkPipeline, readPipeline } from "../cli/pipeline.ts";
import { registry } from "../cli/registry.ts";
import { image, scalar, type AnySource } from "../runtime/index.ts";
import { PushedRows } from "../sources/echem/pushed-rows.ts";
import { command } from "./helpers/command.ts";
import { runToEnd } from "./helpers/graph.ts";
import { recordedRun } from "./helpers/recorded-run.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const DOCS = [
  "README.md",
  ...["docs", "docs/decisions"].flatMap(
    (folder) =>
    readdirSync(join(root, folder)).filter((name) => name.endsWith(".md")).map((name) => `${folder}/${name}`), // prettier-ignore
  ),
];

interface Block {
  readonly file: string;
  readonly language: string;
  readonly text: string;
}

const blocksOf = (file: string): Block[] =>
  [...readFileSync(join(root, file), "utf8").matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(
    ([, language = "", text = ""]) => ({ file, language, text }),
  );
const blocks = DOCS.flatMap(blocksOf);
const of = (file: string, language: string): string[] =>
  blocks.filter((block) => block.file === file && block.language === language).map(({ text }) => text);

test("every block is of a kind that is run, or is output", () => {
  const kinds = new Set(blocks.map(({ file, language }) => `${file} ${language}`));
  expect([...kinds].sort()).toEqual([
    "README.md python", "README.md sh", "README.md ts",
    "docs/afm.md yaml",
    "docs/electrochemistry.md json", "docs/electrochemistry.md yaml",
    "docs/first-hour.md sh", "docs/first-hour.md text", "docs/first-hour.md ts", "docs/first-hour.md yaml",
    "docs/pipeline-files.md ", "docs/pipeline-files.md yaml",
    "docs/protocol.md js",
    "docs/recording.md js", "docs/recording.md python", "docs/recording.md text",
    "docs/tomography.md yaml",
  ]); // prettier-ignore
});

test("every link within the repository leads somewhere", () => {
  const broken = DOCS.flatMap((file) => {
    const links = readFileSync(join(root, file), "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)/g);
    return [...links].flatMap(([, to]) =>
      existsSync(join(root, dirname(file), to!)) ? [] : [`${file}: ${to}`],
    );
  });
  expect(broken).toEqual([]);
});

test("docs/electrochemistry.md: the message is taken by echem/push", () => {
  const [message] = of("docs/electrochemistry.md", "json");
  const { rows, seq, refused } = new PushedRows({ pressure: "bar" }).take(Buffer.from(message!), false, 0n);
  expect([rows, seq, refused]).toEqual([1, 12, undefined]);
});

describe("pipeline files", () => {
  const mistakes = (text: string): string[] =>
    checkPipeline(readPipeline({ name: "pipeline.yaml", text }), registry).map(({ text }) => text);

  test.each(blocks.filter(({ language }) => language === "yaml").map(({ file, text }) => [file, text]))(
    "%s: a block is a pipeline without mistakes, or belongs into one",
    (_, text) => {
      const content = parse(text) as Record<string, unknown>;
      if ("sources" in content) expect(mistakes(text)).toEqual([]);
      else if ("experiment" in content)
        expect(mistakes(`${text}sources:\n  cell: { use: simulated/cell }\n`)).toEqual([]);
      else expect(Object.keys(content)).toEqual(["from"]);
    },
  );
});

describe("commands of the README", () => {
  const lines = of("README.md", "sh").flatMap((text) =>
    text.replaceAll("\\\n", " ").split("\n").filter(Boolean),
  );

  test.each(lines)("%s", async (line) => {
    const plain = line.replace(/ #.*/, "").trim();
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
    for (const part of plain.split(" && ")) {
      const [first, name = "", sub = "", ...rest] = part.trim().split(/\s+/);
      if (first === "npm") {
        if (name !== "ci") expect(scripts).toHaveProperty(name);
        continue;
      }
      expect([first, name]).toEqual(["npx", "operando"]);
      const { out } = await command(sub, "--help");
      for (const option of rest.filter((word) => word.startsWith("--"))) expect(out).toContain(option);
    }
  });
});

const main = join(root, "dist/cli/main.js");
const firstHour = Object.fromEntries(
  of("docs/first-hour.md", "ts").map((text) => [/^\/\/ (\S+\.ts)/.exec(text)![1]!, text]),
);

describe("definitions that README and docs/first-hour.md show", () => {
  let folder: string;
  const files = [
    "readme.ts",
    "operators/echem/power.ts",
    "test/operators/echem/power.test.ts",
    "sources/echem/lines.ts",
    "test/sources/echem/lines.test.ts",
  ];
  beforeAll(() => {
    const readme = of("README.md", "ts")[0]!.replace('from "operando"', 'from "ROOT/index.ts"');
    const shown: Record<string, string> = { ...firstHour, "readme.ts": readme };
    folder = inside(Object.fromEntries(files.map((path) => [path, shown[path]!])));
  });

  test("compile", () => {
    expect(problemsIn(files.map((path) => join(folder, path)))).toEqual([]);
  });

  test("pass their own tests", () => {
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const { status, stdout, stderr } = spawnSync(process.execPath, [vitest, "run", "--root", folder], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
    });
    expect(stdout + stderr).toMatch(/Tests +4 passed/);
    expect(status).toBe(0);
  });

  test("that of the README reads a CSV through the graph", async () => {
    const { myCycler } = (await import(join(folder, "readme.ts"))) as { myCycler: AnySource };
    const path = join(folder, "cell 7.csv");
    writeFileSync(path, "0,3.5,0.1\n1.5,3.6,-0.1\n");
    const { rows, failures } = await runToEnd({ sources: { cycler: { use: myCycler, path } } });
    expect(failures).toEqual([]);
    expect(rows["cycler.echem"]).toEqual({
      time: BigInt64Array.of(0n, 1_500_000_000n),
      voltage_volt: Float64Array.of(3.5, 3.6),
      current_ampere: Float64Array.of(0.1, -0.1),
    });
  });
});

describe("docs/first-hour.md", () => {
  test("names the doors as they are", () => {
    for (const door of ["operators/index.ts", "sources/index.ts"]) {
      expect(readFileSync(join(root, door), "utf8")).toContain("// echem");
      expect(firstHour[door]).toMatch(/^\/\/ .*\nexport \{ \w+ \} from "\.\/echem\/\w+\.ts";\n$/);
    }
  });

  test("prints what it says that it prints", () => {
    const folder = mkdtempSync(join(tmpdir(), "operando hour "));
    temporary.push(folder);
    for (const text of of("docs/first-hour.md", "yaml"))
      writeFileSync(join(folder, /^# (\S+)/.exec(text)![1]!), text);
    mkdirSync(join(folder, "bin"));
    writeFileSync(join(folder, "bin/operando"), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, {
      mode: 0o755,
    });
    const PATH = `${join(folder, "bin")}${delimiter}${process.env["PATH"]}`;
    const here = blocksOf("docs/first-hour.md").filter(
      ({ language }) => language === "sh" || language === "text",
    );
    here.forEach(({ language, text }, i) => {
      if (language !== "sh" || text.startsWith("npm ")) return;
      const { stdout } = spawnSync("sh", ["-c", `{\n${text}} 2>&1`], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, PATH },
      });
      const shown = here[i + 1]?.language === "text" ? here[i + 1]!.text : "";
      // Where the page says …, anything may stand.
      const pattern = shown.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("[\\s\\S]*?"); // prettier-ignore
      // CSV begins with the mark of UTF-8, and its lines end as spreadsheets want them.
      expect(stdout.replaceAll(/^\uFEFF|\r/g, "")).toMatch(new RegExp(`^${pattern}$`));
    });
  }, 180_000);
});

describe("docs/recording.md", () => {
  let run: string;
  beforeAll(async () => {
    const time = BigInt64Array.of(1_795_342_500_000_000_000n, 1_795_342_501_000_000_000n);
    const metadata = { time_basis: "absolute" };
    run = await recordedRun(
      [
        {
          stream: "cycler.echem",
          schema: { fields: { voltage_volt: scalar("V") }, metadata },
          columns: { time, voltage_volt: Float64Array.of(3.5, NaN) },
        },
        {
          stream: "xrm.frames",
          schema: { fields: { data: image("{count}", { shape: [2, 3] }) }, metadata },
          columns: { time, data: new Float32Array(12) },
        },
      ],
      { origin: time[0]! },
    );
    temporary.push(run);
  });
  const js = (stream: string) =>
    spawnSync(
      process.execPath,
      ["--input-type=module", "-e", of("docs/recording.md", "js")[0]!, "--", run, stream],
      {
        cwd: root,
        encoding: "utf8",
      },
    );

  test("its program in JavaScript reads a stream, and finds a flipped bit", () => {
    expect(js("cycler.echem")).toMatchObject({
      stdout: "000000.arrows: 2 rows of time [ns], voltage_volt [V]\n",
      stderr: "",
    });
    expect(js("xrm.frames")).toMatchObject({
      stdout: "000000.arrows: 2 rows of time [ns], data [{count}]\n",
      stderr: "",
    });
    const segment = join(run, "streams/cycler.echem/000000.arrows");
    const whole = readFileSync(segment);
    const broken = Buffer.from(whole);
    broken[whole.indexOf(Buffer.from(Float64Array.of(3.5).buffer))]! ^= 1;
    writeFileSync(segment, broken);
    try {
      expect(js("cycler.echem").stderr).toMatch(
        /^000000\.arrows: the message at byte \d+ has changed since it was written\n$/,
      );
    } finally {
      writeFileSync(segment, whole);
    }
  });

  const python = (text: string, ...args: string[]) =>
    spawnSync("python3", ["-c", text, ...args], { encoding: "utf8" });
  const installed = python("import pyarrow, pandas, polars, duckdb").status === 0;

  // Where these packages are; Debian has none of them.
  if (installed) {
    test("its lines in Python read rows and images", () => {
      const [rows, images] = of("docs/recording.md", "python");
      const read = python(rows!, run, "cycler.echem");
      expect(read.stderr).toBe("");
      expect(read.stdout).toContain("{'time': 'ns', 'voltage_volt': 'V'}");
      expect(read.stdout).toContain("2026-11-22 10:15:00");
      expect(python(images!, run, "xrm.frames")).toMatchObject({ stdout: "(2, 2, 3)\n", stderr: "" });
    });

    test("and so do those of the README", () => {
      const text = of("README.md", "python")[0]!.replace(
        "runs/…/streams/modulus.modulus",
        `${run}/streams/cycler.echem`,
      );
      expect(python(`${text}print(len(frame))`)).toMatchObject({ stdout: "2\n", stderr: "" });
    });
  }
});

const temporary: string[] = [];
afterAll(() => {
  for (const folder of temporary) rmSync(folder, { recursive: true, force: true });
});

/** Files in a new folder within the repository, where packages are found; imports of our own lead to the repository's. */
function inside(files: Readonly<Record<string, string>>): string {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache/docs-"));
  temporary.push(folder);
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    const up = relative(dirname(file), root).replaceAll("\\", "/");
    writeFileSync(
      file,
      text
        .replaceAll('"ROOT/', `"${up}/`)
        .replaceAll(/"(?:\.\.\/)+(runtime\/index\.ts)"/g, `"${up}/$1"`)
        .replaceAll(/"(?:\.\.\/)+(helpers\/\w+\.ts)"/g, `"${up}/test/$1"`),
    );
  }
  return folder;
}

/** What the compiler has to say of these files, as strict as of our own. */
function problemsIn(files: readonly string[]): string[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), (path) => readFileSync(path, "utf8")) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root);
  const program = ts.createProgram(files, options);
  return files.flatMap((file) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(file))
      .map(
        ({ messageText }) => `${relative(root, file)}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`,
      ),
  );
}
