/**
 * The wiring check: from what a person named to a plan that can be started, or to everything that is wrong with
 * it. Knows no file format: a pipeline file, a form in the ui and a program hand in the same specification.
 *
 * What a file will hold is not known before it is opened. A source that is not `closed` may bring more columns
 * than it declares, image sizes are symbols, and metadata are absent, so here only such mistakes are reported as
 * no file can mend. The rest is found when the stream's first item names its schema.
 */
import {
  choice, nearest, quantity, readConfig, text, unknownName,
  type ConfigOf, type Option, type Options,
} from "./config.ts"; // prettier-ignore
import {
  WiringError,
  type AnyOperator,
  type AnySink,
  type AnySource,
  type Place,
  type Ports,
  type Registry,
} from "./define.ts";
import { misfits, outputSchemas, wantedBy } from "./instance.ts";
import { scalar, type Fields, type Schema } from "./wire/schema.ts";
import { parseTime } from "./wire/time.ts";

/** A source or a sink; `with` holds the options that stand beside `use` in the file. */
export interface NodeSpec {
  readonly use: string;
  readonly with: Readonly<Record<string, unknown>>;
}

export interface OperatorSpec extends NodeSpec {
  /** A stream, or one for each port. */
  readonly from: string | Readonly<Record<string, string>>;
  readonly place?: string;
  /** False: what it gives out is not recorded; a replay makes it again. */
  readonly record?: boolean;
}

export interface AlarmSpec {
  readonly when: string;
  readonly priority?: string;
  readonly deliver?: readonly string[];
}

export interface PipelineSpec {
  readonly run: { readonly name: string; readonly directory: string; readonly origin?: string };
  readonly experiment: Readonly<Record<string, unknown>>;
  readonly sources: Readonly<Record<string, NodeSpec>>;
  readonly operators: Readonly<Record<string, OperatorSpec>>;
  readonly alarms: Readonly<Record<string, AlarmSpec>>;
  readonly sinks: Readonly<Record<string, NodeSpec>>;
}

export interface Problem {
  /** Where in the specification, such as ["operators", "flat", "with", "min_signal"]. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Options that every source has beside its own; its own win where names clash. */
export const commonSourceOptions = {
  pace: quantity("Hz", 0, {
    min: 0,
    doc: "rows per second; 0: as the rows' own times say in a run with a speed, else as fast as they are read",
  }),
  idle_after: quantity("s", 0, {
    min: 0,
    doc: "silence after which the others no longer wait for it; 0: never",
  }),
  timezone: text("", {
    doc: "IANA zone of times that name none, such as Europe/Berlin; empty: that of this machine",
  }),
  start: text("", { doc: "places its first row at this time, by hand; empty: where the data say" }),
  record: choice(["data", "reference"], "data", {
    doc: "images as data, or by reference to the instrument's file",
  }),
} satisfies Options;

export type CommonSourceOptions = Omit<ConfigOf<typeof commonSourceOptions>, "start"> & {
  /** ns, where the first row is placed by hand. */
  readonly start: bigint | undefined;
};

export interface PlannedSource {
  readonly name: string;
  readonly definition: AnySource;
  readonly config: Readonly<Record<string, unknown>>;
  readonly common: CommonSourceOptions;
  /** Its definition's output, with these options. */
  readonly ports: Ports;
}

export interface PlannedOperator {
  readonly name: string;
  readonly definition: AnyOperator;
  readonly config: Readonly<Record<string, unknown>>;
  readonly place: Place;
  /** False: what it gives out is not recorded. */
  readonly record: boolean;
  /** Stream by port. */
  readonly inputs: Readonly<Record<string, string>>;
}

export interface PlannedAlarm {
  readonly name: string;
  readonly when: string;
  readonly priority: Priority;
  readonly deliver: readonly string[];
}

export interface PlannedSink {
  readonly name: string;
  readonly definition: AnySink;
  readonly config: Readonly<Record<string, unknown>>;
}

export interface Plan {
  readonly run: { readonly name: string; readonly directory: string; readonly origin: bigint | undefined };
  readonly experiment: Readonly<Record<string, unknown>>;
  readonly sources: readonly PlannedSource[];
  /** Each after those that feed it. */
  readonly operators: readonly PlannedOperator[];
  readonly alarms: readonly PlannedAlarm[];
  readonly sinks: readonly PlannedSink[];
}

const PRIORITIES = ["low", "medium", "high"] as const;
export type Priority = (typeof PRIORITIES)[number];
/** Where an alarm can be sent besides the page, which shows each. */
const DELIVERIES = ["log"] as const;
const PLACES: readonly Place[] = ["main", "worker", "workers"];

/** What is known of a stream before it flows. */
interface Known {
  readonly schema: Schema;
  /** It may hold columns that nobody declared. */
  readonly open: boolean;
}

/** Streams of a node by port; undefined where a mistake elsewhere hides them, so that no second one is reported. */
type Streams = Readonly<Record<string, Known>> | undefined;

export interface Surroundings {
  /** What relative paths of sources are relative to; by default the current directory. */
  readonly directory?: string;
  /** Of a recording: what it holds of a source, which then is not asked. */
  readonly recorded?: (source: string) => Ports;
}

/** A plan, or all that is wrong: none of the checks stops another. */
export function wire(
  spec: PipelineSpec,
  registry: Registry,
  surroundings: Surroundings = {},
): { plan: Plan | undefined; problems: Problem[] } {
  const problems: Problem[] = [];
  const say = (path: Problem["path"], message: string): void => void problems.push({ path, message });

  checkNames(spec, say);
  const origin = spec.run.origin === undefined ? undefined : timeOf(spec.run.origin, ["run", "origin"], say);
  if (Object.keys(spec.sources).length === 0) say(["sources"], "a pipeline needs at least one source");

  const streams = new Map<string, Streams>();
  const sources: PlannedSource[] = [];
  for (const [name, node] of Object.entries(spec.sources)) {
    const path = ["sources", name];
    const definition = find(registry.sources, "source", node.use, path, say);
    if (!definition) {
      streams.set(name, undefined);
      continue;
    }
    const { config, common, sound } = sourceConfig(definition, node.with, path, say);
    const ports = portsOf({ name, definition, config, sound }, surroundings, path, say);
    streams.set(name, ports && streamsOf(definition, ports));
    sources.push({ name, definition, config, common, ports: ports ?? {} });
  }

  const operators: PlannedOperator[] = [];
  for (const name of inOrder(spec.operators, say)) {
    const node = spec.operators[name]!;
    const path = ["operators", name];
    const definition = find(registry.operators, "operator", node.use, path, say);
    if (!definition) {
      streams.set(name, undefined);
      continue;
    }
    const { config, sound } = configOf(definition.config, node.with, [...path, "with"], say);
    const inputs = connect(definition, node.from, [...path, "from"], say);
    const known: Record<string, Known | undefined> = {};
    for (const [port, stream] of Object.entries(inputs)) {
      const at = typeof node.from === "string" ? [...path, "from"] : [...path, "from", port];
      known[port] = streamAt(stream, at, streams, spec, say);
      if (known[port]) checkPort(definition, port, stream, known[port], at, say);
    }
    const complete = Object.keys(definition.input).every((port) => port === "*" || port in inputs);
    streams.set(name, outputsOf(definition, config, sound && complete, known, path, say));
    const place = placeOf(definition, node.place, path, say);
    operators.push({ name, definition, config, place, record: node.record ?? true, inputs });
  }

  const alarms = Object.entries(spec.alarms).map(([name, alarm]) =>
    planAlarm(name, alarm, streams, spec, say),
  );

  const sinks: PlannedSink[] = [];
  for (const [name, node] of Object.entries(spec.sinks)) {
    const path = ["sinks", name];
    const definition = find(registry.sinks, "sink", node.use, path, say);
    if (definition)
      sinks.push({ name, definition, config: configOf(definition.config, node.with, path, say).config });
  }

  const run = { name: spec.run.name, directory: spec.run.directory, origin };
  const plan = { run, experiment: spec.experiment, sources, operators, alarms, sinks };
  return { plan: problems.length ? undefined : plan, problems };
}

type Say = (path: Problem["path"], message: string) => void;

function checkNames(spec: PipelineSpec, say: Say): void {
  const taken = new Map<string, string>();
  for (const section of ["sources", "operators", "sinks", "alarms"] as const) {
    for (const name of Object.keys(spec[section])) {
      if (!/^[a-z][a-z0-9_-]*$/.test(name)) {
        say([section, name], `"${name}" cannot be a name: small letters, digits, _ and -, a letter first`);
      }
      if (section === "alarms") continue;
      if (name === "actions") say([section, name], "the name actions is the run's own, for what people do");
      const other = taken.get(name);
      if (other)
        say([section, name], `the name ${name} is taken by ${other}.${name}; each node needs one of its own`);
      taken.set(name, section);
    }
  }
}

function find<D extends { readonly name: string }>(
  definitions: readonly D[],
  kind: string,
  use: string,
  path: Problem["path"],
  say: Say,
): D | undefined {
  const found = definitions.find(({ name }) => name === use);
  if (!found)
    say(
      [...path, "use"],
      `${kind} ${unknownName(
        use,
        definitions.map(({ name }) => name),
      )}`,
    );
  return found;
}

function configOf<C extends Options>(
  options: C,
  given: Readonly<Record<string, unknown>>,
  path: Problem["path"],
  say: Say,
): { config: ConfigOf<C>; sound: boolean } {
  const { config, problems } = readConfig(options, given);
  for (const { key, message } of problems) say([...path, key], message);
  return { config, sound: problems.length === 0 };
}

function sourceConfig(
  definition: AnySource,
  given: Readonly<Record<string, unknown>>,
  path: Problem["path"],
  say: Say,
): { config: Readonly<Record<string, unknown>>; common: CommonSourceOptions; sound: boolean } {
  const own: Options = definition.config;
  const all: Options = { ...own, ...commonSourceOptions, ...own };
  const { config, sound } = configOf(all, given, path, say) as {
    config: Readonly<Record<string, unknown>>;
    sound: boolean;
  };
  const common = Object.fromEntries(
    Object.entries(commonSourceOptions).map(([key, option]: [string, Option]) => [
      key,
      key in own ? option.default : config[key],
    ]),
  ) as ConfigOf<typeof commonSourceOptions>;
  if (common.timezone && !isZone(common.timezone)) {
    say(
      [...path, "timezone"],
      `${common.timezone} is not a time zone; write one such as Europe/Berlin, UTC or UTC+02:00`,
    );
  }
  const start = common.start ? timeOf(common.start, [...path, "start"], say) : undefined;
  return {
    config: Object.fromEntries(Object.keys(own).map((key) => [key, config[key]])),
    common: { ...common, start },
    sound,
  };
}

/** Ports of a source; undefined where its options are wrong, or it says that what they name is not there. */
function portsOf(
  source: {
    readonly name: string;
    readonly definition: AnySource;
    readonly config: object;
    readonly sound: boolean;
  },
  { directory = process.cwd(), recorded }: Surroundings,
  path: Problem["path"],
  say: Say,
): Ports | undefined {
  const { name, definition, config, sound } = source;
  if (typeof definition.output !== "function") {
    const ports = definition.output as Ports;
    // A replay gives what was recorded, and has no options to go by.
    if (!sound || recorded || !definition.gives) return ports;
    return Object.fromEntries(definition.gives(config as never).map((port) => [port, ports[port]!]));
  }
  try {
    if (recorded) return recorded(name);
    return sound ? (definition.output(config, directory) as Ports) : undefined;
  } catch (error) {
    say(path, (error as Error).message);
    return undefined;
  }
}

/** An IANA name, or an offset such as UTC+02:00. */
function isZone(timezone: string): boolean {
  if (/^(UTC|GMT)?[+-]\d{1,2}(:?\d\d)?$/.test(timezone)) return true;
  try {
    Intl.DateTimeFormat("en", { timeZone: timezone });
    return true;
  } catch {
    return false;
  }
}

function timeOf(written: string, path: Problem["path"], say: Say): bigint | undefined {
  try {
    return parseTime(written);
  } catch (error) {
    say(path, (error as Error).message);
    return undefined;
  }
}

function placeOf(definition: AnyOperator, place: string | undefined, path: Problem["path"], say: Say): Place {
  const initial = definition.place ?? "main";
  if (place === undefined) return initial;
  if (!(PLACES as readonly string[]).includes(place)) say([...path, "place"], unknownName(place, PLACES));
  else if (place === "workers" && !definition.key) {
    say(
      [...path, "place"],
      `${definition.name} keeps state between rows, which several workers cannot share; allowed: main, worker`,
    );
  } else return place as Place;
  return initial;
}

/** Names of the operators, each after those that feed it, else in the order of the file; circles are reported. */
function inOrder(operators: PipelineSpec["operators"], say: Say): string[] {
  const feeders = (name: string): string[] => {
    const { from } = operators[name]!;
    return (typeof from === "string" ? [from] : Object.values(from))
      .map(nodeOf)
      .filter((node) => node in operators);
  };
  const order: string[] = [];
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const visit = (name: string): void => {
    if (state.get(name) === "done") return;
    trail.push(name);
    if (state.get(name) === "open") {
      say(
        ["operators", name, "from"],
        `${trail.slice(trail.indexOf(name)).toReversed().join(" → ")} goes round in a circle`,
      );
    } else {
      state.set(name, "open");
      feeders(name).forEach(visit);
      state.set(name, "done");
      order.push(name);
    }
    trail.pop();
  };
  Object.keys(operators).forEach(visit);
  return order;
}

const nodeOf = (stream: string): string => stream.split(".", 1)[0]!;

/** Streams by port: those of the definition first and in its order, then those of a "*" as they stand in the file. */
function connect(
  definition: AnyOperator,
  from: OperatorSpec["from"],
  path: Problem["path"],
  say: Say,
): Record<string, string> {
  const declared = Object.keys(definition.input).filter((port) => port !== "*");
  const free = "*" in definition.input;
  if (typeof from === "string") {
    if (declared.length === 1) return { [declared[0]!]: from };
    const example = free ? [...declared, "any_name"] : declared;
    say(
      path,
      `${definition.name} has several ports; write from: { ${example.map((port) => `${port}: node.port`).join(", ")} }`,
    );
    return {};
  }
  for (const port of Object.keys(from)) {
    if (!free && !declared.includes(port)) say([...path, port], `port ${unknownName(port, declared)}`);
  }
  for (const port of declared) {
    if (!(port in from))
      say(
        path,
        `${definition.name} needs a stream at its port ${port} [${columnNames(definition.input[port])}]`,
      );
  }
  if (free && Object.keys(from).length === 0)
    say(path, `${definition.name} needs at least one stream; write from: { any_name: node.port }`);
  const known = Object.keys(from).filter((port) => free || declared.includes(port));
  const sorted = [
    ...declared.filter((port) => known.includes(port)),
    ...known.filter((port) => !declared.includes(port)),
  ];
  return Object.fromEntries(sorted.map((port) => [port, from[port]!]));
}

const columnNames = (fields: Fields): string => Object.keys(fields).join(", ");

/** What the rows of a `<stream>.late` have besides. */
const OF_TIME = { kind: "scalar", type: "i64", unit: "ns" } as const;

/** The stream of this name as far as it is known; says so where there is none. */
function streamAt(
  stream: string,
  path: Problem["path"],
  streams: ReadonlyMap<string, Streams>,
  spec: PipelineSpec,
  say: Say,
): Known | undefined {
  const node = nodeOf(stream);
  const port = stream.slice(node.length + 1);
  if (!(node in spec.sources) && !(node in spec.operators)) {
    if (node in spec.sinks) say(path, `${stream}: ${node} is a sink, which has no streams`);
    else
      say(
        path,
        `${stream}: node ${unknownName(node, [...Object.keys(spec.sources), ...Object.keys(spec.operators)])}`,
      );
    return undefined;
  }
  const ports = streams.get(node);
  if (!ports || "*" in ports || ports[port]) return ports?.[port];
  const late =
    node in spec.sources && port.endsWith(".late") ? ports[port.slice(0, -".late".length)] : undefined;
  if (late)
    return { ...late, schema: { ...late.schema, fields: { of_time: OF_TIME, ...late.schema.fields } } };
  const names = Object.keys(ports).map((name) => `${node}.${name}`);
  if (port === "") say(path, `${node} is a node, not a stream; write ${names.join(" or ")}`);
  else {
    const near = nearest(port, Object.keys(ports));
    say(
      path,
      `${node} has no port ${port}${near ? `; did you mean ${near}?` : "."} Its streams: ${names.join(", ")}`,
    );
  }
  return undefined;
}

const streamsOf = (source: AnySource, ports: Ports): Record<string, Known> =>
  Object.fromEntries(
    Object.entries(ports).map(([port, fields]) => [
      port,
      { schema: { fields, metadata: {} }, open: !source.closed },
    ]),
  );

/** Columns of the wrong kind, unit or type, and, where nothing more can come, those that are missing. */
function checkPort(
  definition: AnyOperator,
  port: string,
  stream: string,
  known: Known,
  path: Problem["path"],
  say: Say,
): void {
  const wanted = wantedBy(definition.input, port) ?? {};
  const checked = known.open
    ? Object.fromEntries(Object.entries(wanted).filter(([name]) => name in known.schema.fields))
    : wanted;
  for (const message of misfits(port, checked, stream, known.schema)) say(path, message);
}

/** A column that no definition names: where it comes out again, so would any other. */
const UNDECLARED = { "~undeclared": scalar("1") };

/** Streams that an operator gives out. */
function outputsOf(
  definition: AnyOperator,
  config: Readonly<Record<string, unknown>>,
  sound: boolean,
  inputs: Readonly<Record<string, Known | undefined>>,
  path: Problem["path"],
  say: Say,
): Streams {
  const all = Object.entries(inputs);
  if (typeof definition.output !== "function") {
    return Object.fromEntries(
      Object.entries(definition.output as Record<string, Fields>).map(([port, fields]) => [
        port,
        { schema: { fields, metadata: {} }, open: false },
      ]),
    );
  }
  if (!sound || all.some(([, known]) => !known)) return undefined;
  const known = all as [string, Known][];

  // Whether it asked for what only the data will say.
  let asked = false;
  const ask = (): void => void (asked = true);
  const outputs = (extra: Fields): Record<string, Schema> => {
    const schemas = known.map(([port, { schema, open }]) => [
      port,
      {
        fields: open ? watched({ ...schema.fields, ...extra }, ask) : schema.fields,
        metadata: watched({}, ask),
      },
    ]);
    return outputSchemas(definition, config, Object.fromEntries(schemas) as Record<string, Schema>);
  };

  let schemas: Record<string, Schema>;
  try {
    schemas = outputs({});
  } catch (error) {
    const sized = known.every(([, { schema }]) => hasSizes(schema.fields));
    if (!asked && (sized || error instanceof WiringError)) say(path, (error as Error).message);
    return undefined;
  }
  let more: Record<string, Schema> | undefined;
  try {
    more = outputs(UNDECLARED);
  } catch {
    more = undefined;
  }
  return Object.fromEntries(
    Object.entries(schemas).map(([port, { fields }]) => {
      const wider = more?.[port];
      const open = !wider || Object.keys(wider.fields).length > Object.keys(fields).length;
      return [port, { schema: { fields: { ...fields }, metadata: {} }, open }];
    }),
  );
}

/** Entries that may not be all: tells when somebody looks for one that is not here, or for all. */
function watched<T extends object>(entries: T, ask: () => void): T {
  const look = (name: string | symbol): void => {
    if (typeof name === "string" && !Object.hasOwn(entries, name)) ask();
  };
  return new Proxy(entries, {
    get: (target, name, receiver) => (look(name), Reflect.get(target, name, receiver) as unknown),
    has: (target, name) => (look(name), Reflect.has(target, name)),
    ownKeys: (target) => (ask(), Reflect.ownKeys(target)),
  });
}

const hasSizes = (fields: Fields): boolean =>
  Object.values(fields).every(({ shape }) => shape?.every((size) => typeof size === "number") ?? true);

function planAlarm(
  name: string,
  alarm: AlarmSpec,
  streams: ReadonlyMap<string, Streams>,
  spec: PipelineSpec,
  say: Say,
): PlannedAlarm {
  const path = ["alarms", name];
  const known = streamAt(alarm.when, [...path, "when"], streams, spec, say);
  const level = known?.schema.fields["level"];
  const mayBring = known?.open && nodeOf(alarm.when) in spec.operators;
  if (known && level?.kind !== "code" && !(mayBring && !level)) {
    say(
      [...path, "when"],
      `${alarm.when} has no column level (0 clear, 1 watch, 2 alarm), which an alarm goes by; it has ${columnNames(known.schema.fields)}`,
    );
  }
  const priority = alarm.priority ?? "medium";
  if (!(PRIORITIES as readonly string[]).includes(priority))
    say([...path, "priority"], unknownName(priority, PRIORITIES));
  for (const delivery of alarm.deliver ?? []) {
    if (!(DELIVERIES as readonly string[]).includes(delivery))
      say([...path, "deliver"], unknownName(delivery, DELIVERIES));
  }
  return { name, when: alarm.when, priority: priority as Priority, deliver: alarm.deliver ?? [] };
}
