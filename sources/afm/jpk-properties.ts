/**
 * JPK's headers: Java properties, and the pointers by which newer files share them.
 *
 * A key that ends in `.*` points into `shared-data/header.properties`:
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

/** Properties below one prefix: its own, then those that it points to. */
export interface Section {
  get(rest: string): string | undefined;
  /** NaN where it is missing or no number. */
  number(rest: string): number;
  /** Identity of the shared part, so that what is made from it is made once. */
  readonly shared: object | undefined;
  /** True where it has properties of its own that could override the shared ones. */
  has(rest: string): boolean;
}

/** Shared properties, `lcd-info.1` → what stands below it. */
export type Shared = ReadonlyMap<string, ReadonlyMap<string, string>>;

export function shareable(properties: ReadonlyMap<string, string>): Shared {
  const shared = new Map<string, Map<string, string>>();
  for (const [key, value] of properties) {
    // The number ends at its dot, so that 1 is not taken for 10.
    const match = /^([^.]+\.\d+)\.(.+)$/.exec(key);
    if (!match) continue;
    let part = shared.get(match[1]!);
    if (!part) shared.set(match[1]!, (part = new Map()));
    part.set(match[2]!, value);
  }
  return shared;
}

/** The section `prefix` of a header, looked up through the pointer named `pointer`. */
export function section(
  own: ReadonlyMap<string, string>,
  shared: Shared,
  prefix: string,
  pointer: string,
): Section {
  const target = own.get(`${prefix}.${pointer}.*`);
  const part = target === undefined ? undefined : shared.get(`${pointer}.${target}`);
  const get = (rest: string): string | undefined => own.get(`${prefix}.${rest}`) ?? part?.get(rest);
  return {
    get,
    number: (rest) => Number(get(rest) || NaN),
    shared: part,
    has: (rest) => own.has(`${prefix}.${rest}`),
  };
}
