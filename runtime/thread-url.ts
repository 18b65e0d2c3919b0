/**
 * Where a thread's compiled code lies. Node 20 runs no TypeScript in worker threads, so that a test that runs from
 * source starts the same build as the installed command.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** `compiledPath` is relative to dist/: "runtime/journal/writer-thread.js". */
export function threadUrl(importMetaUrl: string, compiledPath: string): URL {
  let folder = new URL(".", importMetaUrl);
  while (!existsSync(new URL("package.json", folder))) {
    const parent = new URL("..", folder);
    if (parent.href === folder.href) throw new Error(`no package.json above ${fileURLToPath(importMetaUrl)}`);
    folder = parent;
  }
  const url = new URL(`dist/${compiledPath}`, folder);
  if (!existsSync(url)) throw new Error(`${fileURLToPath(url)} is not there; run "npm run build" first`);
  return url;
}
