import { sameUnit, WiringError, type Field, type Rows, type Schema } from "../../runtime/index.ts";

/**
 * The variance of each pixel, where it is known: from a column `variance` beside the images, or from a port `variance`,
 * whose newest image of the same `slice` counts that is not later than the image. Its column is called `variance`, or
 * `data`; one in the images' own unit holds standard errors, as those of tomography/variance, and is squared. One image
 * is held for each slice of that port.
 */
export interface VarianceSource {
  /** Of the rows of one step; to be asked for in the order of their times, and lent until the next is asked for. */
  open(given: unknown): VarianceRows;
  save(): Held;
  load(held: Held): void;
}
interface VarianceRows {
  at(row: number, time: bigint, slice: number): Float32Array | undefined;
  /** Keeps what came after the last that was asked for. */
  close(): void;
}
type Held = [slice: number, image: Float32Array][];

/** Refuses ports that are not understood, and variances that do not fit. */
export function checkVariance(inputs: Readonly<Record<string, unknown>>, port: string, column: string): void {
  const extra = Object.keys(inputs).find((name) => name !== port && name !== "variance");
  if (extra) throw new WiringError(`port ${extra} is not known; there are ${port} and variance`);
  const data = (inputs[port] as Record<string, Field>)[column]!;
  const beside = (inputs[port] as Record<string, Field>)["variance"];
  const fields = inputs["variance"] as Record<string, Field> | undefined;
  const field = fields ? (fields["variance"] ?? fields["data"]) : beside;
  if (!field && !fields) return;
  if (field?.kind !== "image") {
    throw new WiringError("variance needs a column variance, or data, of images: the variance of each pixel");
  }
  const [a, b] = [data.shape ?? [], field.shape ?? []];
  const known = [...a, ...b].every((n) => typeof n === "number");
  if (known && String(a) !== String(b)) {
    throw new WiringError(
      `variance is ${b.join(" × ")} px, ${column} is ${a.join(" × ")} px; both must be of one grid, with tomography/variance by pitch: 1`,
    );
  }
  if (!sameUnit(field.unit, square(data.unit)) && !isError(field, data)) {
    throw new WiringError(
      `variance is in ${field.unit || "1"}, ${column} in ${data.unit || "1"}; wanted its square, or as a standard error the same`,
    );
  }
}

const square = (unit: string): string => (unit === "" ? "1" : `${unit}.${unit}`);
const isError = (field: Field, images: Field): boolean => sameUnit(field.unit, images.unit);

export function varianceSource(
  inputs: Readonly<Record<string, Schema>>,
  port: string,
  column: string,
  size: number,
): VarianceSource | undefined {
  const fields = inputs["variance"]?.fields;
  const data = inputs[port]!.fields[column]!;
  const variances = (image: Float32Array, field: Field): void => {
    // Of images without dimension both are in 1, and it is the variance.
    if (isError(field, data) && !sameUnit(data.unit, "1"))
      for (let i = 0; i < image.length; i++) image[i]! *= image[i]!;
  };
  if (!fields) {
    const beside = inputs[port]!.fields["variance"];
    if (beside?.kind !== "image") return undefined;
    const image = new Float32Array(size);
    return {
      open: (given) => {
        const { columns } = (given as Record<string, Rows<{}>>)[port]!;
        const at = (row: number): Float32Array => {
          image.set((columns["variance"] as Float32Array).subarray(row * size, (row + 1) * size));
          variances(image, beside);
          return image;
        };
        return { at, close: () => {} };
      },
      save: () => [],
      load: () => {},
    };
  }
  const name = "variance" in fields ? "variance" : "data";
  let held = new Map<number, Float32Array>();
  return {
    open: (given) => {
      const rows = (given as Record<string, Rows<{}>>)["variance"]!;
      const images = rows.columns[name] as Float32Array;
      const slices = rows.columns["slice"] as Int32Array | undefined;
      let next = 0;
      const take = (time?: bigint): void => {
        for (; next < rows.length && (time === undefined || rows.time[next]! <= time); next++) {
          const slice = slices?.[next] ?? 0;
          const image = held.get(slice) ?? new Float32Array(size);
          image.set(images.subarray(next * size, (next + 1) * size));
          variances(image, fields[name]!);
          held.set(slice, image);
        }
      };
      const at = (_: number, time: bigint, slice: number): Float32Array | undefined => {
        take(time);
        return held.get(slices ? slice : 0);
      };
      return { at, close: () => take() };
    },
    save: () => [...held].map(([slice, image]) => [slice, image.slice()]),
    load: (saved) => void (held = new Map(saved)),
  };
}
