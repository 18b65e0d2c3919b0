import {
  choice,
  code,
  defineOperator,
  image,
  integer,
  quantity,
  scalar,
  WiringError,
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
 *
 * `place: position` puts a curve where its x, y are: column = (x - x₀)/pitch, row = (y - y₀)/pitch, to the nearest pixel. After
 * drift/coordinates these are places of the sample, so a pixel shows the same material in map after map, and at the rim
 * what drifted out is NaN. x₀, y₀ are those that put the first curve of all at the pixel of its index. Of several curves in
 * a pixel the last counts.
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

type Saved = Omit<State, "time"> & { time: BigInt64Array; origin: readonly [x_m: number, y_m: number] };

export const modulusMap = defineOperator({
  name: "mechanics/map",
  doc: "Puts the moduli of a force map at their pixels: one image a map, and the one under way for views.",
  input: {
    modulus: {
      modulus: scalar("Pa"),
      index: code(),
      x: scalar("m", { optional: true }),
      y: scalar("m", { optional: true }),
    },
  },
  output: ({ modulus }, config, metadata) => {
    if (config.place === "position" && !("x" in modulus && "y" in modulus))
      throw new WiringError("place: position needs curves that say where they are: columns x and y");
    const grid = gridOf(config, metadata["modulus"]);
    const sized = ["grid_size_x", "grid_size_y"].every((edge) => Number(metadata["modulus"]?.[edge]) > 0);
    if (config.place === "position" && grid && metadata["modulus"] && !sized)
      throw new WiringError(
        "place: position needs curves whose metadata say how large their grid is: grid_size_x, grid_size_y",
      );
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
    place: choice(["index", "position"], "index", {
      doc: "what says where a curve belongs: its index, or where its x and y are (after drift/coordinates: on the sample)",
    }),
    least_filled: quantity("%", 0, {
      min: 0,
      max: 100,
      doc: "a map that ended with less of its pixels filled is left out, with a fault",
    }),
  },
  start(config, { inputs }) {
    const grid = gridOf(config, inputs.modulus.metadata);
    const size = grid ? grid.columns * grid.rows : 0;
    const pitch = (edge: string, pixels: number | undefined): number =>
      Number(inputs.modulus.metadata[edge] ?? NaN) / (pixels ?? NaN);
    const [pitchX_m, pitchY_m] = [pitch("grid_size_x", grid?.columns), pitch("grid_size_y", grid?.rows)];
    let map = empty(size);
    /** Where the pixel of index 0 is; NaN until a curve has said where it is. */
    let [x0_m, y0_m] = [NaN, NaN];

    /** Pixel of a curve; -1 where it lies beyond the grid, or nobody knows. */
    const pixelOf = (index: number, x_m: number, y_m: number): number => {
      if (config.place === "index") return index;
      const { columns, rows } = grid!;
      if (Number.isNaN(x0_m + y0_m)) {
        x0_m = x_m - (index % columns) * pitchX_m;
        y0_m = y_m - Math.floor(index / columns) * pitchY_m;
      }
      const column = Math.round((x_m - x0_m) / pitchX_m);
      const row = Math.round((y_m - y0_m) / pitchY_m);
      return column >= 0 && column < columns && row >= 0 && row < rows ? row * columns + column : -1;
    };

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
          const pixel = pixelOf(index, rows.x?.[i] ?? NaN, rows.y?.[i] ?? NaN);
          if (pixel >= 0) map.pixels[pixel] = rows.modulus[i]!;
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
        origin: [x0_m, y0_m] as const,
      }),
      load(saved: Saved) {
        const { origin, ...rest } = saved;
        [x0_m, y0_m] = origin;
        const { pixels, visited, time } = rest;
        map = { ...rest, pixels: pixels.slice(), visited: visited.slice(), time: time[0]! };
      },
    };
  },
});

const empty = (size: number): State => ({
  pixels: new Float32Array(size).fill(NaN), visited: new Uint8Array(size),
  done: 0, curves: 0, last: -1, time: 0n, seconds: 0, told: false,
}); // prettier-ignore
