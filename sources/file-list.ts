import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { SourceError } from "../runtime/index.ts";

/** True where a path stands for several files: `*` and `?` in its last part. */
export const isPattern = (path: string): boolean => /[*?]/.test(basename(path));

/** The files that a path stands for, absolute, in the order of their names; `folder` is what it is relative to. */
export async function filesOf(path: string, folder: string): Promise<string[]> {
  if (/[*?]/.test(dirname(path)))
    throw new SourceError(`${path}: * and ? may stand only in the last part of a path`);
  const full = resolve(folder, path);
  if (!isPattern(path)) return [full];
  const parent = dirname(full);
  const escaped = basename(full).replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", "."); // prettier-ignore
  const pattern = new RegExp(`^${escaped}$`, process.platform === "win32" ? "i" : "");
  const names = await readdir(parent, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw new SourceError(`${path}: its folder ${parent} cannot be read (${error.code ?? error.message})`, {
      cause: error,
    });
  });
  return names
    .filter((entry) => !entry.isDirectory() && pattern.test(entry.name))
    .map((entry) => join(parent, entry.name))
    .sort();
}

/** Files that were not read yet and have kept size and date since the last look: their writer has let go of them. */
export class Settled {
  readonly #seen = new Map<string, string>();

  constructor(read: readonly string[]) {
    for (const path of read) this.#seen.set(path, "read");
  }

  /** These could not be read yet. */
  again(paths: Iterable<string>): void {
    for (const path of paths) this.#seen.delete(path);
  }

  async among(paths: readonly string[]): Promise<string[]> {
    const settled: string[] = [];
    for (const path of paths) {
      const before = this.#seen.get(path);
      if (before === "read") continue;
      const about = await stat(path).catch(() => undefined);
      const now = `${about?.size} ${about?.mtimeMs}`;
      this.#seen.set(path, now === before ? "read" : now);
      if (now === before && about) settled.push(path);
    }
    return settled;
  }
}
