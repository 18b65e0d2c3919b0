import { existsSync, readFileSync } from "node:fs";

/** A file of the package, beside the sources and beside what is built from them. */
export function packageFile(path: string): URL {
  for (const up of ["../", "../../"]) {
    const url = new URL(`${up}${path}`, import.meta.url);
    if (existsSync(new URL(`${up}package.json`, import.meta.url))) return url;
  }
  throw new Error("package.json is missing");
}

export function operandoVersion(): string {
  return (JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as { version: string }).version;
}
