/**
 * The files of linked techniques: `cell7_01_OCV_C03.mpr` is followed by `cell7_02_GCPL_C03.mpr`. Only the technique and its number
 * differ; what comes before them, the channel and the kind of file are the same.
 */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

const LINKED = /^(.*_)(\d{2,3})(_[A-Za-z][A-Za-z0-9-]*)((?:_[A-Z]{1,2}\d+)?\.\w+)$/;

/** True where the name is that of one technique of several. */
export const isLinked = (path: string): boolean => LINKED.test(basename(path));

/** The file of the next technique, where there is one. */
export async function nextLinked(path: string): Promise<string | undefined> {
  const own = LINKED.exec(basename(path));
  if (!own) return undefined;
  const names = await readdir(dirname(path)).catch(() => []);
  const later = names
    .map((name) => LINKED.exec(name))
    .filter((one) => one !== null)
    .filter(
      ([, before, number, , after]) =>
        before === own[1] && after === own[4] && Number(number) > Number(own[2]),
    ) // prettier-ignore
    .sort((a, b) => Number(a[2]) - Number(b[2]));
  const name = later[0]?.[0];
  return name === undefined ? undefined : join(dirname(path), name);
}
