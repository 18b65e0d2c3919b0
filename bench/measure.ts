/** What a benchmark prints: a median with its spread, beside a baseline taken in the same process. */
export interface Measured {
  readonly name: string;
  /** Median of `n` runs. */
  readonly value: number;
  readonly unit: string;
  /** What it is held against in the same run, and the ratio of the two. */
  readonly baseline?: number;
  readonly ratio?: number;
  /** The same by other ways, in the same unit. */
  readonly beside?: Readonly<Record<string, number>>;
  /** What we want to reach. */
  readonly aim?: number;
  readonly n: number;
  /** Least and greatest of the runs. */
  readonly spread: readonly [number, number];
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1]!;

export function measured(
  name: string,
  unit: string,
  values: readonly number[],
  rest: {
    baseline?: readonly number[] | undefined;
    aim?: number | undefined;
    beside?: Readonly<Record<string, number>> | undefined;
  } = {},
): Measured {
  const value = median(values);
  const baseline = rest.baseline && median(rest.baseline);
  return {
    name,
    value,
    unit,
    ...(baseline !== undefined && { baseline, ratio: value / baseline }),
    ...(rest.beside && { beside: rest.beside }),
    ...(rest.aim !== undefined && { aim: rest.aim }),
    n: values.length,
    spread: [Math.min(...values), Math.max(...values)],
  };
}
