/** Reads a whole scan through the source's definition, as the runtime would. */
import { expect } from "vitest";
import { concat, type Columns } from "../../../runtime/columns.ts";
import { readConfig } from "../../../runtime/config.ts";
import type { AnySource, SourceContext, SourceItem } from "../../../runtime/index.ts";
import { tomography } from "../../../sources/xray/tomography.ts";

export function open(
  path: string,
  options: Record<string, unknown> = {},
  context: Partial<SourceContext> = {},
  source: AnySource = tomography,
): AsyncIterable<SourceItem> {
  const { config, problems } = readConfig(source.config, { path, ...options });
  expect(problems).toEqual([]);
  return source.open(config, {
    signal: new AbortController().signal, now: () => 0n, timezone: "Europe/Berlin", timezoneAssumed: true, directory: "/",
    ...context,
  }) as AsyncIterable<SourceItem>;
} // prettier-ignore

export function together(items: readonly SourceItem[]) {
  const port = Object.keys(items[0]!.schema!)[0]!;
  const schema = items[0]!.schema![port]!;
  const parts = items.flatMap(({ rows }) => (rows ? [rows[port] as Columns] : []));
  // oxlint-disable-next-line no-explicit-any
  const columns = (parts.length ? concat(parts, schema.fields) : { time: new BigInt64Array(0) }) as any;
  return { items, port, schema, columns, faults: items.flatMap((item) => item.faults ?? []) };
}

export async function readAll(
  path: string,
  options: Record<string, unknown> = {},
  context: Partial<SourceContext> = {},
  source: AnySource = tomography,
) {
  const items: SourceItem[] = [];
  for await (const item of open(path, options, context, source)) items.push(item);
  return together(items);
}
