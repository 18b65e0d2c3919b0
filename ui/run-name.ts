/** What a run calls itself, from its manifest, which other versions may have written. */

const text = (value: unknown): string =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : "";

const inside = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;

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
