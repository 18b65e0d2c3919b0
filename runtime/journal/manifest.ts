/**
 * run.json: what ran, when it began and how it ended. Written whole or not at all.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { inWords, RunError } from "./run-error.ts";

export interface Manifest {
  /** Version of the program that wrote it. */
  readonly operando: string;
  readonly name: string;
  /** ns since 1970, as text: seconds of the run count from here. */
  readonly origin: string;
  /** ISO 8601. */
  readonly started: string;
  readonly ended?: string;
  readonly ending?: "finished" | "stopped" | "failed";
  readonly pipeline?: unknown;
  readonly experiment?: unknown;
  /** What opening the run after a crash had to drop or rebuild, in sentences. */
  readonly recovered?: readonly string[];
  readonly [more: string]: unknown;
}

const NAME = "run.json";

export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  const path = join(directory, NAME);
  const draft = join(directory, `.${NAME}.${randomUUID()}`);
  try {
    await mkdir(directory, { recursive: true });
    const file = await open(draft, "wx");
    try {
      await file.writeFile(`${JSON.stringify(manifest, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw new RunError(`cannot write ${path}: ${inWords(error)}`, { cause: error });
  }
  await syncFolder(directory);
}

/** Makes a rename last; where a system flushes no folders (Windows), its journal does. */
async function syncFolder(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(directory, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export async function readManifest(directory: string): Promise<Manifest> {
  const path = join(directory, NAME);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" || code === "ENOTDIR" ? `it has no ${NAME}` : inWords(error);
    throw new RunError(`${directory} is not a recorded run: ${why}`, { cause: error });
  }
  let manifest: Partial<Manifest>;
  try {
    manifest = JSON.parse(text) as Partial<Manifest>;
  } catch (error) {
    throw new RunError(`${path} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof manifest?.origin !== "string" || !/^-?\d+$/.test(manifest.origin)) {
    throw new RunError(
      `${path} has no "origin", the nanosecond that the run counts its seconds from, as digits in quotes`,
    );
  }
  return manifest as Manifest;
}
