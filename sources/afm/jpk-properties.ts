/**
 * JPK's headers: Java properties, and the pointers by which newer files share them.
 *
 * A key that ends in `.*` points into `shared-data/header.properties`, where a part may point further:
 *     channel.vDeflection.lcd-info.*=1      all of lcd-info.1.<rest> holds as channel.vDeflection.<rest>
 *     force-segment-header.force-segment-header-info.*=0
 */

/** Java properties (ISO 8859-1, `\:` and `\u00B5` escapes, lines continued by a final `\`). */
export function parseProperties(bytes: Uint8Array): Map<string, string> {
  const properties = new Map<string, string>();
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  for (const line of text.replace(/\\\r?\n[ \t]*/g, "").split(/\r\n|\n|\r/)) {
    const match = /^[ \t]*((?:\\.|[^\\ \t=:#!])(?:\\.|[^\\ \t=:])*)[ \t]*[=: \t]?[ \t]*(.*)$/.exec(line);
    if (match) properties.set(unescape(match[1]!), unescape(match[2]!));
  }
  return properties;
}

function unescape(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex: string | undefined, char: string) =>
    hex ? String.fromCharCode(parseInt(hex, 16)) : ({ t: "\t", n: "\n", r: "\r", f: "\f" }[char] ?? char),
  );
}

/** Properties with what they point to. */
export interface Properties {
  readonly own: ReadonlyMap<string, string>;
  readonly pointers: readonly Pointer[];
}

interface Pointer {
  /** What stands before the pointer's name, with its dot: "channel.vDeflection." */
  readonly prefix: string;
  /** Name of the shared part: "lcd-info.1". */
  readonly target: string;
  /** undefined where the file lacks it. */
  readonly part: Properties | undefined;
}

/** Shared properties: "lcd-info.1" → what stands below it. */
export type Shared = ReadonlyMap<string, Properties>;

const POINTER = /^(.*?)([^.]+)\.\*$/;

function pointersOf(own: ReadonlyMap<string, string>, shared: Shared): Pointer[] {
  const pointers: Pointer[] = [];
  for (const [key, value] of own) {
    const match = key.endsWith(".*") ? POINTER.exec(key) : null;
    if (!match) continue;
    const target = `${match[2]}.${value.trim()}`;
    pointers.push({ prefix: match[1]!, target, part: shared.get(target) });
  }
  return pointers;
}

export const pointed = (own: ReadonlyMap<string, string>, shared: Shared): Properties => ({
  own,
  pointers: pointersOf(own, shared),
});

export function shareable(properties: ReadonlyMap<string, string>): Shared {
  const parts = new Map<string, Map<string, string>>();
  for (const [key, value] of properties) {
    // The number ends at its dot, so that 1 is not taken for 10.
    const match = /^([^.]+\.\d+)\.(.+)$/.exec(key);
    if (!match) continue;
    let part = parts.get(match[1]!);
    if (!part) parts.set(match[1]!, (part = new Map()));
    part.set(match[2]!, value);
  }
  const shared = new Map<string, { own: Map<string, string>; pointers: Pointer[] }>();
  for (const [name, own] of parts) shared.set(name, { own, pointers: [] });
  for (const { own, pointers } of shared.values()) pointers.push(...pointersOf(own, shared));
  return shared;
}

/** Pointers that lead on from pointers; more are a circle. */
const DEEPEST = 8;

function lookUp({ own, pointers }: Properties, key: string, depth = 0): string | undefined {
  const value = own.get(key);
  if (value !== undefined || depth === DEEPEST) return value;
  for (const { prefix, part } of pointers) {
    if (!part || !key.startsWith(prefix)) continue;
    const found = lookUp(part, key.slice(prefix.length), depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Properties below one prefix: its own, then those that it points to. */
export interface Section {
  get(rest: string): string | undefined;
  /** NaN where it is missing or no number. */
  number(rest: string): number;
  /** Identity of the shared part, so that what is made from it is made once. */
  readonly shared: object | undefined;
  /** True where it has properties of its own that could override the shared ones. */
  has(rest: string): boolean;
  /** Names of shared parts that it points to and the file lacks. */
  readonly missing: readonly string[];
}

export function section(properties: Properties, prefix: string): Section {
  const { own, pointers } = properties;
  const here = pointers.filter((pointer) => pointer.prefix === `${prefix}.`);
  const get = (rest: string): string | undefined => lookUp(properties, `${prefix}.${rest}`);
  return {
    get,
    number: (rest) => Number(get(rest)?.trim() || NaN),
    shared: here.length === 1 ? here[0]!.part : undefined,
    has: (rest) => own.has(`${prefix}.${rest}`),
    missing: here.filter(({ part }) => !part).map(({ target }) => target),
  };
}
