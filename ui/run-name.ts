/** What a run calls itself, from its manifest, which other versions may have written. */

const text = (value: unknown): string =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : "";

const inside = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;

/** What the pipeline file calls the alarm that a stream raises: "gas" of `gas: { when: onset.onset }`. Else the stream's name. */
export function alarmName(manifest: Readonly<Record<string, unknown>>, stream: string): string {
  const alarms = inside(manifest["pipeline"], "alarms");
  const named = Object.entries(typeof alarms === "object" && alarms !== null ? alarms : {});
  return named.find(([, alarm]) => inside(alarm, "when") === stream)?.[0] ?? stream;
}

/** The run's origin, from which its seconds count, ms; NaN while it is not known. The manifest has it in ns, as digits. */
export function runOrigin(manifest: Readonly<Record<string, unknown>>): number {
  const origin = text(manifest["origin"]);
  return /^-?\d+$/.test(origin) ? Number(origin) / 1e6 : NaN;
}

export interface RunName {
  readonly run: string;
  readonly cell: string;
  readonly directory: string;
}

export function runName(manifest: Readonly<Record<string, unknown>>): RunName {
  const experiment = manifest["experiment"];
  const directory = text(manifest["directory"]);
  return {
    run:
      text(manifest["name"]) ||
      text(inside(manifest["run"], "name")) ||
      directory.split(/[\\/]/).at(-1)! ||
      "unnamed run",
    cell: text(inside(experiment, "cell")) || text(inside(experiment, "sample")),
    directory,
  };
}
