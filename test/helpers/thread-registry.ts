/** Test operators for worker threads: Node 20 runs no TypeScript there, so their file is compiled into a folder of its own. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { threadUrl } from "../../runtime/thread-url.ts";

/** A module that exports `registry` with all operators of a file beside this one, which imports nothing but the runtime's door. */
export function threadRegistry(file: string): { readonly url: URL; readonly directory: string } {
  const directory = mkdtempSync(join(tmpdir(), "operando-registry-"));
  const source = readFileSync(new URL(file, import.meta.url), "utf8");
  const door = threadUrl(import.meta.url, "runtime/index.js").href;
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ES2022 },
  });
  const path = join(directory, "operators.mjs");
  writeFileSync(path, outputText.replaceAll('"../../runtime/index.ts"', JSON.stringify(door)));
  const registry = join(directory, "registry.mjs");
  writeFileSync(
    registry,
    'import * as all from "./operators.mjs";\nexport const registry = { sources: [], operators: Object.values(all), sinks: [] };\n',
  );
  return { url: pathToFileURL(registry), directory };
}
