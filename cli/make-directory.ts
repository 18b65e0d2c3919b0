import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a directory and those above it that are missing; the result is the topmost that was made, undefined if none.
 * One by one, since Node's own `recursive` never returns where a file system, such as /proc, takes no directories.
 */
export async function makeDirectory(path: string): Promise<string | undefined> {
  if (existsSync(path)) return undefined;
  const above = await makeDirectory(dirname(path));
  await mkdir(path);
  return above ?? path;
}
