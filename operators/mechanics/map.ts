import {
  code,
  defineOperator,
  image,
  integer,
  quantity,
  scalar,
  type Field,
  type Schema,
} from "../../runtime/index.ts";

/**
 * Modulus map: the curves of a force map put at their pixels.
 *
 *     data[row, column] = modulus of the curve whose index is row × columns + column   [Pa]
 *
 * A pixel that was not measured, or whose curve could not be fitted, is NaN. A map ends when its last pixel was
 * visited, when a pixel is visited for a second time, or with the run; its time is that of its last curve.
 * A pixel visited again at once is a retry: the later curve counts.
 * `filling` shows the map under way, each time as many curves as a line has have come.
 *
 * The grid is that of the options, or of the stream's metadata (`grid_columns`, `grid_rows`).
 */
export interface Grid {
  readonly columns: number;
  readonly rows: number;
}

const GIVEN_BY_STREAM = 0;

function gridOf(
  config: { columns: number; rows: number },
  metadata: Schema["metadata"] = {},
): Grid | undefined {
  const columns = config.columns || Number(metadata["grid_columns"]);
  const rows = config.rows || Number(metadata["grid_rows"]);
  return columns > 0 && rows > 0 ? { columns, rows } : undefined;
}

function share(pixels: Float32Array): number {
  let measured = 0;
  for (let i = 0; i < pixels.length; i++) if (!Number.isNaN(pixels[i])) measured++;
  return (100 * measured) / pixels.length;
}

interface State {
  pixels: Float32Array;
  visited: Uint8Array;
  /** Pixels visited, curves put, and the last of them. */
  done: number;
  curves: number;
  last: number;
  time: bigint;
  seconds: number;
  told: boolean;
}

type Saved = Omit<State, "time"> & { time: BigInt64Array };

export const modulusMap = defineOperator({
  name: "mechanics/map",
  doc: "Puts the moduli of a force map at their pixels: one image a map, and the one under way for views.",
  input: { modulus: { modulus: scalar("Pa"), index: code() } },
  output: (_, config, metadata) => {
    const grid = gridOf(config, metadata["modulus"]);
    const columns = {
      data: image("Pa", {
        shape: grid ? [grid.rows, grid.columns] : ["row", "col"],
        long_name: "Young's modulus",
      }),
      filled: scalar("%", { doc: "share of the pixels that have a modulus" }),
    } satisfies Record<string, Field>;
    return { maps: columns, filling: columns };
  },
  metadata: ({ modulus }, config) => {
    const inherited: Schema["metadata"] = modulus?.metadata ?? {};
    const grid = gridOf(config, inherited);
    const edge = (size: string | undefined, pixels: number): string | undefined =>
      size ? String(Number(size) / pixels) : undefined;
    const x = grid && edge(inherited["grid_size_x"], grid.columns);
    const y = grid && edge(inherited["grid_size_y"], grid.rows);
    const all = { ...inherited, ...(x && { pixel_size_x: x }), ...(y && { pixel_size_y: y }) };
    return { maps: all, filling: all };
  },
  provisional: ["filling"],
  config: {
    columns: integer(GIVEN_BY_STREAM, { min: 0, doc: "pixels of a line; 0: as the stream's metadata say" }),
    rows: integer(GIVEN_BY_STREAM, { min: 0, doc: "lines; 0: as the stream's metadata say" }),
    least_filled: quantity("%", 0, {
      min: 0,
      max: 100,
      doc: "a map that ended with less of its pixels filled is left out, with a fault",
    }),
  },
  start(config, { inputs }) {
    const grid = gridOf(config, inputs.modulus.metadata);
    const size = grid ? grid.columns * grid.rows : 0;
    let map = empty(size);

    return {
      step({ modulus: rows }, out, upTo) {
        const finish = ({ last }: { last: number }): void => {
          const filled = share(map.pixels);
          if (filled >= config.least_filled) out.maps.add({ time: map.time, data: map.pixels, filled });
          else
            out.fault(
              map.time,
              `map ended with ${filled.toFixed(1)} % of its pixels filled, below least_filled`,
            );
          map = { ...empty(size), told: map.told, last };
        };
        for (let i = 0; i < rows.length; i++) {
          const [time, seconds, index] = [rows.time[i]!, rows.seconds[i]!, rows.index[i]!];
          if (!grid || index < 0 || index >= size) {
            const what = grid
              ? `curve ${index} lies outside the grid of ${grid.columns} × ${grid.rows} pixels; set columns and rows`
              : "these curves have no grid; set columns and rows, or leave the map out";
            if (!map.told) out.fault(time, what); // once: every further curve would say the same
            map.told = true;
            continue;
          }
          if (map.curves === 0 && index === map.last && size > 1) {
            out.fault(
              time,
              `pixel ${index} was measured again after its map was complete; that curve is left out`,
            );
            continue;
          }
          if (map.visited[index] && index !== map.last) finish({ last: -1 });
          if (!map.visited[index]) map.done++;
          map.visited[index] = 1;
          map.pixels[index] = rows.modulus[i]!;
          map = { ...map, last: index, time, seconds, curves: map.curves + 1 };
          if (map.curves % grid.columns === 0)
            out.filling.add({ time, data: map.pixels, filled: share(map.pixels) });
          if (map.done === size) finish({ last: index });
        }
        if (upTo === Infinity && map.curves > 0) finish({ last: -1 });
      },
      // The next curve may end the map under way, at the time of its last.
      holds: () => (map.curves > 0 ? map.seconds : Infinity),
      save: (): Saved => ({
        ...map,
        pixels: map.pixels.slice(),
        visited: map.visited.slice(),
        time: BigInt64Array.of(map.time),
      }),
      load(saved: Saved) {
        const { pixels, visited, time } = saved;
        map = { ...saved, pixels: pixels.slice(), visited: visited.slice(), time: time[0]! };
      },
    };
  },
});

const empty = (size: number): State => ({
  pixels: new Float32Array(size).fill(NaN), visited: new Uint8Array(size),
  done: 0, curves: 0, last: -1, time: 0n, seconds: 0, told: false,
}); // prettier-ignore
