/** Streams of force curves, with their fit where there is one. */
import type { StreamEntry } from "./client/types.ts";
import { isForce, isLength } from "./quantities.ts";
import type { RowPanel } from "./row-view.ts";

export interface CurvePanel extends RowPanel {
  readonly x: string;
  readonly y: string;
  readonly fit?: string;
}

export function curveOf({
  stream,
  schema: { fields },
}: Pick<StreamEntry, "stream" | "schema">): CurvePanel[] {
  const curves = Object.entries(fields).filter(([, { kind }]) => kind === "curve");
  const y = curves.find(([name, { unit }]) => isForce(unit) && !/fit|residual/.test(name))?.[0];
  const x =
    curves.find(([name]) => name === "indentation")?.[0] ??
    curves.find(([name, { unit }]) => isLength(unit) && name !== y)?.[0];
  const fit = curves.find(([name]) => name === "fit")?.[0];
  if (x === undefined || y === undefined) return [];
  return [
    {
      id: `${stream}/${y}`,
      title: fit ? "force curve and fit" : "force curve",
      stream,
      x,
      y,
      ...(fit && { fit }),
    },
  ];
}
