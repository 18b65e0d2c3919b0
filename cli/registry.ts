/**
 * All definitions, as the doors of their folders hand them out. Worker threads load this file too.
 */
import * as operators from "../operators/index.ts";
import type { AnyOperator, AnySink, AnySource, Registry } from "../runtime/index.ts";
import * as sinks from "../sinks/index.ts";
import * as sources from "../sources/index.ts";

type Definition = AnySource | AnyOperator | AnySink;

/** Doors also hand out kernels and types; a definition says its kind. */
function definitions<K extends Definition["kind"]>(
  door: object,
  kind: K,
): Extract<Definition, { kind: K }>[] {
  const found = Object.values(door).filter((one: { kind?: unknown } | undefined) => one?.kind === kind);
  return (found as Extract<Definition, { kind: K }>[]).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

export const registry: Registry = {
  sources: definitions(sources, "source"),
  operators: definitions(operators, "operator"),
  sinks: definitions(sinks, "sink"),
};
