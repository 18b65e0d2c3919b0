/**
 * A pipeline file: YAML to a plan, or to everything that is wrong with it, each with its line.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { isMap, isScalar, isSeq, LineCounter, parse, parseDocument, type Document, type Node } from "yaml";
import {
  nearest, unknownName, wire,
  type AlarmSpec, type NodeSpec, type OperatorSpec, type PipelineSpec, type Plan, type Problem, type Registry, type Surroundings,
} from "../runtime/index.ts"; // prettier-ignore
import { CommandError, MISTAKE } from "./command-error.ts";
import { readExperiment } from "./experiment.ts";

export interface LoadedPipeline {
  readonly plan: Plan;
  readonly spec: PipelineSpec;
  /** Absolute; what relative paths in the file are relative to. */
  readonly directory: string;
  /** As read, for the run's manifest. */
  readonly text: string;
}

/** Reads and checks a pipeline file with the changes of `--set`. Throws a CommandError that lists every mistake. */
export async function loadPipeline(
  file: string,
  set: readonly string[],
  registry: Registry,
  surroundings: Pick<Surroundings, "recorded"> = {},
): Promise<LoadedPipeline> {
  const text = await readText(file);
  const directory = dirname(resolve(file));
  const sampleFile = join(directory, "sample.yaml");
  const sample = existsSync(sampleFile)
    ? { name: "sample.yaml", text: await readText(sampleFile) }
    : undefined;
  const read = readPipeline({ name: basename(file), text }, set, sample);
  const mistakes = checkPipeline(read, registry, { directory, ...surroundings });
  if (mistakes.length > 0) throw new CommandError(listing(mistakes), MISTAKE);
  return {
    plan: wire(read.spec!, registry, { directory, ...surroundings }).plan!,
    spec: read.spec!,
    directory,
    text,
  };
}

/** Everything that is wrong with a pipeline: its form, and its wiring as far as the form allows. */
export function checkPipeline(read: Read, registry: Registry, surroundings: Surroundings = {}): Described[] {
  if (!read.spec) return [...read.problems];
  // What has the wrong form has been reported; what follows from it would only repeat it.
  const follows = ({ path }: Problem): boolean =>
    path.some((_, i) => read.malformed.has(path.slice(0, i + 1).join(".")));
  const wiring = wire(read.spec, registry, surroundings).problems.filter((problem) => !follows(problem));
  return [...read.problems, ...wiring.map(read.describe)];
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === "ENOENT"
        ? "there is no such file"
        : code === "EISDIR"
          ? "is a directory, not a pipeline file"
          : message;
    throw new CommandError(`${file}: ${why}`, MISTAKE, { cause: error });
  }
}

/** A mistake with the place it was made at. */
export interface Described {
  /** Lines of the pipeline file first, in their order. */
  readonly line: number;
  readonly text: string;
}

function listing(mistakes: readonly Described[]): string {
  const sorted = mistakes.toSorted((a, b) => a.line - b.line);
  const texts = [...new Set(sorted.map(({ text }) => text))];
  return [
    ...texts,
    texts.length > 1 ? `${texts.length} mistakes; nothing was started.` : "Nothing was started.",
  ].join("\n");
}

interface Text {
  /** As the person knows it. */
  readonly name: string;
  readonly text: string;
}

interface Read {
  /** As much of the pipeline as could be read; undefined where the file is not YAML. */
  readonly spec: PipelineSpec | undefined;
  readonly problems: readonly Described[];
  /** Paths, joined by ".", of what could not be read. */
  readonly malformed: ReadonlySet<string>;
  /** Finds the line of a problem with the specification. */
  describe(problem: Problem): Described;
}

/** YAML texts to a specification; knows no definitions. Relative paths in `set` are relative to the current directory. */
export function readPipeline(pipeline: Text, set: readonly string[] = [], sample?: Text): Read {
  const file = open(pipeline);
  const sampleFile = sample && open(sample);
  const problems: Described[] = [...file.problems, ...(sampleFile?.problems ?? [])];
  const malformed = new Set<string>();
  if (!file.content) return { spec: undefined, problems, malformed, describe: file.describe };

  const content = file.content;
  const setBy = new Map<string, string>();
  for (const one of set) {
    const mistake = change(content, one, setBy);
    if (mistake) problems.push({ line: Infinity, text: `--set ${one}: ${mistake}` });
  }
  // Where a value came from --set, or from sample.yaml, the mistake is there and not in the pipeline file.
  const describe = (problem: Problem): Described => {
    for (let length = problem.path.length; length > 0; length--) {
      const by = setBy.get(problem.path.slice(0, length).join("."));
      if (by) return { line: Infinity, text: `--set ${by}: ${problem.message}` };
    }
    const [section, ...rest] = problem.path;
    if (sampleFile && section === "experiment" && !file.has(problem.path))
      return sampleFile.describe({ ...problem, path: rest });
    return file.describe(problem);
  };
  const say = (path: Problem["path"], message: string): void => {
    problems.push(describe({ path, message }));
    malformed.add(path.join("."));
  };
  const spec = specification(content, sampleFile?.content ?? {}, say);
  return { spec, problems, malformed, describe };
}

interface Opened {
  /** The document as plain values; undefined where it is not YAML, or no map. */
  readonly content: Record<string, unknown> | undefined;
  readonly problems: Described[];
  has(path: Problem["path"]): boolean;
  describe(problem: Problem): Described;
}

function open({ name, text }: Text): Opened {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (line: number, said: string): Described => ({ line, text: `${name}:${line}: ${said}` });
  const describe = ({ path, message }: Problem): Described =>
    at(lineOf(document, lines, path), `${path.length ? `${path.join(".")}: ` : ""}${message}`);
  const problems = document.errors.map(({ code, message, pos }) => {
    const { line, col } = lines.linePos(pos[0]);
    return at(line, `column ${col}: ${code === "BAD_DQ_ESCAPE" ? BACKSLASH : `not YAML: ${message}`}`);
  });
  if (problems.length > 0) return { content: undefined, problems, has: () => false, describe };
  let content: unknown;
  try {
    content = document.toJS() ?? {};
  } catch (error) {
    return {
      content: undefined,
      problems: [at(1, `not YAML: ${(error as Error).message}`)],
      has: () => false,
      describe,
    };
  }
  if (!isPlain(content))
    return {
      content: undefined,
      problems: [at(1, "wanted sections such as sources: and operators:")],
      has: () => false,
      describe,
    };
  for (const path of lostBackslashes(document.contents))
    problems.push(describe({ path, message: BACKSLASH }));
  return { content, problems, has: (path) => document.hasIn(path), describe };
}

const BACKSLASH =
  "\\ has a meaning of its own within \"double quotes\"; write the path in 'single quotes' or with /";

/** Texts in double quotes where an escape such as the \n of "C:\new" became a control character. */
function lostBackslashes(node: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (isMap(node))
    return node.items.flatMap(({ key, value }) =>
      lostBackslashes(value, [...path, String(isScalar(key) ? key.value : key)]),
    );
  if (isSeq(node)) return node.items.flatMap((item, i) => lostBackslashes(item, [...path, i]));
  if (!isScalar(node) || node.type !== "QUOTE_DOUBLE" || typeof node.value !== "string") return [];
  const meantAsPath = path.at(-1) === "path" || /^[A-Za-z]:/.test(node.value);
  return meantAsPath && /\p{Cc}/u.test(node.value) ? [path] : [];
}

/** Line of the innermost part of `path` that stands in the file. */
function lineOf(document: Document, lines: LineCounter, path: Problem["path"]): number {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0] ?? 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step));
      if (!pair) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(step)];
      if (!item) break;
      offset = (item as Node).range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return lines.linePos(offset).line;
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const SECTIONS = ["run", "experiment", "sources", "operators", "alarms", "sinks"] as const;

/** Applies "node.option=value"; returns what is wrong with it. */
function change(
  content: Record<string, unknown>,
  set: string,
  setBy: Map<string, string>,
): string | undefined {
  const equals = set.indexOf("=");
  if (equals < 1) return "write it as node.option=value, such as cycler.path=cell7.mpr";
  const keys = set.slice(0, equals).split(".");
  const key = keys.at(-1)!;
  const path = target(content, keys);
  if (typeof path === "string") return path;
  let at: Record<string, unknown> = content;
  for (const step of path.slice(0, -1)) {
    const next = at[step] ?? {};
    if (!isPlain(next)) return `${step} has no options in this file`;
    at[step] = next;
    at = next;
  }
  at[key] = valueOf(key, set.slice(equals + 1));
  setBy.set(path.join("."), set);
  return undefined;
}

/** Where "node.option" stands in the file, or what is wrong with it. */
function target(content: Record<string, unknown>, keys: readonly string[]): string[] | string {
  const [first = "", ...rest] = keys;
  if (rest.length === 0) return "write it as node.option=value, such as cycler.path=cell7.mpr";
  if (first === "run" || first === "experiment") return [...keys];
  const nodes = new Map<string, string>();
  for (const section of ["sinks", "operators", "sources"]) {
    const named = content[section];
    if (isPlain(named)) for (const name of Object.keys(named)) nodes.set(name, section);
  }
  const section = nodes.get(first);
  if (!section) return `node ${unknownName(first, [...nodes.keys()])}`;
  if (section === "operators" && !OPERATOR.includes(rest[0]!)) {
    return [section, first, "with", ...rest];
  }
  return [section, first, ...rest];
}

/** A YAML scalar; but a path is taken as it stands, `#`, `*` and `\` included. */
function valueOf(key: string, written: string): unknown {
  if (key === "path") return absolute(written);
  try {
    return parse(written) as unknown;
  } catch {
    return written;
  }
}

/** The shell's directory is what a person at the shell means; addresses such as tcp://host stay. */
const absolute = (path: string): string =>
  isAbsolute(path) || /^[a-z][a-z0-9+.-]+:\/\//i.test(path) ? path : resolve(path);

type Say = (path: Problem["path"], message: string) => void;

function specification(
  content: Record<string, unknown>,
  sample: Record<string, unknown>,
  say: Say,
): PipelineSpec {
  for (const key of Object.keys(content)) {
    if (!(SECTIONS as readonly string[]).includes(key)) say([key], unknownName(key, SECTIONS));
  }
  const section = (name: (typeof SECTIONS)[number]): Record<string, unknown> => {
    const value = content[name] ?? {};
    if (isPlain(value)) return value;
    say([name], "wanted names with what they stand for below, indented");
    return {};
  };

  const run = section("run");
  for (const key of Object.keys(run)) if (!RUN.includes(key)) say(["run", key], unknownName(key, RUN));
  const runText = (key: string, initial?: string): string | undefined => {
    const value = run[key] ?? initial;
    if (value === undefined || (typeof value === "string" && value.trim() !== "")) return value;
    if (typeof value === "number" && key === "name") return String(value);
    say(["run", key], "wanted text");
    return initial;
  };
  const origin = runText("origin");

  const { experiment, problems } = readExperiment({ ...sample, ...section("experiment") });
  for (const { path, message } of problems) say(["experiment", ...path], message);

  const nodes = <T>(
    name: "sources" | "operators" | "sinks" | "alarms",
    read: Reader<T>,
  ): Record<string, T> => {
    const found: Record<string, T> = {};
    for (const [node, value] of Object.entries(section(name))) {
      if (!isPlain(value)) say([name, node], `wanted ${FORMS[name]}`);
      else found[node] = read(value, [name, node], say);
    }
    return found;
  };
  return {
    run: {
      name: runText("name", "run")!,
      directory: runText("directory", "runs")!,
      ...(origin !== undefined && { origin }),
    },
    experiment,
    sources: nodes("sources", readNode),
    operators: nodes("operators", readOperator),
    alarms: nodes("alarms", readAlarm),
    sinks: nodes("sinks", readNode),
  };
}

const RUN = ["name", "directory", "origin"];

const FORMS = {
  sources: "{ use: …, and its options }",
  operators: "{ use: …, from: node.port, with: { its options } }",
  alarms: "{ when: node.port, priority: high }",
  sinks: "{ use: …, and its options }",
};

type Reader<T> = (value: Record<string, unknown>, path: Problem["path"], say: Say) => T;

const readNode: Reader<NodeSpec> = ({ use, ...options }, path, say) => {
  if (!isPlain(options["with"])) return { use: readUse(use, options, path, say), with: options };
  say([...path, "with"], "options of a source or sink stand beside use, without with");
  const { with: own, ...rest } = options;
  return { use: readUse(use, rest, path, say), with: { ...rest, ...(own as object) } };
};

function readUse(use: unknown, others: object, path: Problem["path"], say: Say): string {
  if (typeof use === "string") return use;
  const near = nearest("use", Object.keys(others));
  const missing = `must be given: the name of a definition${near ? `; is ${near} meant?` : " (operando list shows them)"}`;
  say([...path, "use"], use === undefined || use === null ? missing : "wanted the name of a definition");
  return "";
}

const OPERATOR = ["use", "from", "with", "place", "record"];

const readOperator: Reader<OperatorSpec> = (
  { use, from, with: options, place, record, ...others },
  path,
  say,
) => {
  for (const key of Object.keys(others)) {
    const hint = nearest(key, OPERATOR)
      ? unknownName(key, OPERATOR)
      : "is not known here; options of an operator stand below with";
    say([...path, key], hint);
  }
  if (from === undefined || from === null)
    say([...path, "from"], "must be given: the stream that it reads, as node.port");
  else if (!isFrom(from))
    say([...path, "from"], "wanted a stream such as cycler.echem, or { port: node.port, … }");
  if (options !== undefined && options !== null && !isPlain(options))
    say([...path, "with"], "wanted options, as { name: value }");
  if (place !== undefined && typeof place !== "string")
    say([...path, "place"], "wanted main, worker or workers");
  if (record !== undefined && typeof record !== "boolean")
    say(
      [...path, "record"],
      "wanted true, or false: what it gives out is not recorded, a replay makes it again",
    );
  return {
    use: readUse(use, others, path, say),
    from: isFrom(from) ? from : {},
    with: isPlain(options) ? options : {},
    ...(typeof place === "string" && { place }),
    ...(typeof record === "boolean" && { record }),
  };
};

const isFrom = (from: unknown): from is OperatorSpec["from"] =>
  typeof from === "string" ||
  (isPlain(from) && Object.values(from).every((stream) => typeof stream === "string"));

const ALARM = ["when", "priority", "deliver"];

const readAlarm: Reader<AlarmSpec> = ({ when, priority, deliver, ...others }, path, say) => {
  for (const key of Object.keys(others)) say([...path, key], unknownName(key, ALARM));
  if (priority !== undefined && typeof priority !== "string")
    say([...path, "priority"], "wanted low, medium or high");
  const texts = deliver === undefined ? [] : Array.isArray(deliver) ? deliver : [deliver];
  if (!texts.every((one) => typeof one === "string")) say([...path, "deliver"], "wanted a list of texts");
  if (typeof when !== "string")
    say([...path, "when"], "must be given: a stream with a column level, as node.port");
  return {
    when: typeof when === "string" ? when : "",
    ...(typeof priority === "string" && { priority }),
    ...(deliver !== undefined && { deliver: texts.map(String) }),
  };
};
