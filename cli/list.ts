import type { Command } from "commander";
import {
  commonSourceOptions, unknownName,
  type AnyOperator, type AnySink, type AnySource, type Fields, type Options,
} from "../runtime/index.ts"; // prettier-ignore
import { CommandError, MISTAKE } from "./command-error.ts";
import { print, printJson, table } from "./print.ts";
import { registry } from "./registry.ts";

/** Characters of a line, as far as words allow. */
const WIDTH = 110;

type Definition = AnySource | AnyOperator | AnySink;

/** `operando list`: every source, operator and sink with its ports, units and options. */
export function addList(program: Command): void {
  program
    .command("list")
    .description("lists every source, operator and sink; with a name, its ports, units and options")
    .argument("[name]", "as mechanics/modulus, or a group such as mechanics")
    .option("--json", "prints one JSON document")
    .action(async (name: string | undefined, { json }: { json?: true }) => {
      const all: Definition[] = [...registry.sources, ...registry.operators, ...registry.sinks];
      const chosen =
        name === undefined ? all : all.filter((one) => one.name === name || one.name.startsWith(`${name}/`));
      if (chosen.length === 0) {
        const names = all.map((one) => one.name);
        throw new CommandError(`${unknownName(name!, names)}`, MISTAKE);
      }
      if (json) await printJson(chosen.map(describe));
      else if (name === undefined) await print(overview(all));
      else await print(chosen.map(page).join("\n"));
    });
}

const firstSentence = (doc: string | undefined): string =>
  /^.*?[.;:](?=\s|$)|^.*$/s.exec(doc?.trim() ?? "")![0].replace(/[.;:]$/, "");

function overview(all: readonly Definition[]): string {
  const section = (kind: Definition["kind"], title: string): string => {
    const rows = all.filter((one) => one.kind === kind).map((one) => [one.name, firstSentence(one.doc)]);
    return `${title}\n${rows.length ? table(rows, "  ", WIDTH) : "  none"}\n`;
  };
  return [section("source", "Sources"), section("operator", "Operators"), section("sink", "Sinks")].join(
    "\n",
  );
}

interface Port {
  readonly name: string;
  readonly columns: readonly {
    name: string;
    kind: string;
    type: string;
    unit: string;
    shape?: readonly (number | string)[];
    optional?: true;
    doc?: string;
  }[];
}

const portsOf = (ports: Readonly<Record<string, Fields>>): Port[] =>
  Object.entries(ports).map(([name, fields]) => ({
    name,
    columns: Object.entries(fields).map(([column, { kind, type, unit, shape, optional, doc }]) => ({
      name: column,
      kind,
      type: kind === "label" ? "text" : type,
      unit,
      ...(shape && { shape }),
      ...(optional && { optional: true as const }),
      ...(doc && { doc }),
    })),
  }));

const optionsOf = (options: Options, live: readonly string[] = []): object[] =>
  Object.entries(options).map(([name, { kind, required, default: initial, unit, choices, doc }]) => ({
    name,
    kind,
    ...(live.includes(name) && { live: true }),
    ...(unit !== undefined && { unit }),
    ...(choices && { choices }),
    ...(required ? { required } : { default: initial === Infinity ? "Infinity" : initial }),
    doc,
  }));

/** Ports that depend on what comes in, or on a source's options, are not known before a pipeline names it: then they are null. */
const outputsOf = (definition: AnySource | AnyOperator): Port[] | null =>
  typeof definition.output !== "function"
    ? portsOf(definition.output as Record<string, Fields>)
    : definition.kind === "source"
      ? null
      : computed(definition);

/** What comes out when exactly what is declared comes in and no option is given. */
function computed(definition: AnyOperator): Port[] | null {
  // What has no default but must be given for some options serves with any value: columns do not depend on it.
  const defaults = Object.fromEntries(
    Object.entries(definition.config as Options).map(([key, option]) => [
      key,
      Number.isNaN(option.default) ? 1 : option.default,
    ]),
  );
  const { output } = definition as {
    output: (inputs: object, config: object, metadata: object) => Record<string, Fields>;
  };
  const none = Object.fromEntries(Object.keys(definition.input).map((port) => [port, {}]));
  try {
    return portsOf(output(definition.input as object, defaults, none));
  } catch {
    return null;
  }
}

function describe(definition: Definition): object {
  const { kind, name, doc = "" } = definition;
  const options = optionsOf(definition.config as Options, liveOf(definition));
  if (definition.kind === "sink") return { kind, name, doc, options };
  if (definition.kind === "source") {
    return {
      kind,
      name,
      doc,
      outputs: outputsOf(definition),
      options,
      common: optionsOf(without(commonSourceOptions, definition.config as Options)),
    };
  }
  const { input, provisional = [], place = "main" } = definition;
  return {
    kind,
    name,
    doc,
    inputs: portsOf(input as Record<string, Fields>),
    outputs: outputsOf(definition),
    provisional,
    place,
    options,
  };
}

/** Options that may be changed while it runs. */
const liveOf = (definition: Definition): readonly string[] =>
  definition.kind === "operator" ? ((definition.live ?? []) as readonly string[]) : [];

const without = (options: Options, own: Options): Options =>
  Object.fromEntries(Object.entries(options).filter(([name]) => !(name in own)));

function page(definition: Definition): string {
  const lines = [`${definition.name}  (${definition.kind})`];
  if (definition.doc) lines.push("", indented(definition.doc.trim()));
  if (definition.kind === "operator")
    lines.push("", "  reads", portTable(portsOf(definition.input as Record<string, Fields>)));
  if (definition.kind !== "sink") {
    const outputs = outputsOf(definition);
    const depends = definition.kind === "source" ? "its options" : "its inputs and options";
    lines.push("", "  gives", outputs ? portTable(outputs) : `    what depends on ${depends}`);
  }
  const where = definition.kind === "operator" ? "options, below with" : "options, beside use";
  lines.push("", `  ${where}`, optionTable(definition.config as Options, liveOf(definition)));
  if (definition.kind === "source")
    lines.push(
      "",
      "  options of every source",
      optionTable(without(commonSourceOptions, definition.config as Options)),
    );
  return `${lines.join("\n")}\n`;
}

const indented = (text: string): string => text.split("\n").map((line) => `  ${line}`.trimEnd()).join("\n"); // prettier-ignore

function portTable(ports: readonly Port[]): string {
  const rows = ports.flatMap(({ name, columns }) => {
    const port = name === "*" ? "any name" : name;
    if (columns.length === 0) return [[port, "any columns"]];
    return columns.map((column, i) => {
      const shape = column.shape ? ` (${column.shape.join(", ")})` : "";
      const about = [column.optional ? "may be absent" : "", column.doc ?? ""].filter(Boolean).join("; ");
      return [
        i === 0 ? port : "",
        column.name,
        `${column.kind}${shape}`,
        column.unit ? `[${column.unit}]` : "",
        about,
      ];
    });
  });
  return table(rows, "    ", WIDTH);
}

function optionTable(options: Options, live: readonly string[] = []): string {
  const rows = Object.entries(options).map(
    ([name, { kind, required, default: initial, unit, choices, doc }]) => {
      const said = unit && unit !== "1" ? ` ${unit}` : "";
      const given = required
        ? "must be given"
        : initial === "" || Number.isNaN(initial)
          ? "none"
          : typeof initial === "object"
            ? JSON.stringify(initial).replaceAll(",", ", ")
            : `${String(initial)}${said}`;
      const short = choices && choices.join(" | ").length <= 40;
      const notes = [
        choices && !short ? `one of ${choices.join(", ")}` : "",
        given.length > 40 ? `default ${given}` : "",
        live.includes(name) ? "may be changed while it runs" : "",
      ];
      const about = [doc, ...notes].filter(Boolean).join("; ");
      return [name, short ? choices.join(" | ") : kind, given.length > 40 ? "" : given, about];
    },
  );
  return rows.length ? table(rows, "    ", WIDTH) : "    none";
}
