/**
 * Numbers to colours for images. Grey for slices; viridis (van der Walt & Smith 2015, CC0) and cividis
 * (Nuñez et al., PLoS ONE 13, e0199239, 2018) for maps, both even in lightness and safe for colour-blind eyes;
 * purple to green (ColorBrewer PRGn) with white at zero for changes.
 */
export type ColourMap = "grey" | "viridis" | "cividis" | "diverging";

const ANCHORS: Record<ColourMap, readonly number[]> = {
  grey: [0x0a0a0a, 0xfafafa],
  viridis: [
    0x440154, 0x482475, 0x414487, 0x355f8d, 0x2a788e, 0x21918c, 0x22a884, 0x44bf70, 0x7ad151, 0xbddf26,
    0xfde725,
  ],
  cividis: [
    0x00224e, 0x123570, 0x3b496c, 0x575d6d, 0x707173, 0x8a8678, 0xa59c74, 0xc3b369, 0xe1cc55, 0xfee838,
  ],
  diverging: [0x762a83, 0x9970ab, 0xc2a5cf, 0xe7d4e8, 0xf7f7f7, 0xd9f0d3, 0xa6dba0, 0x5aae61, 0x1b7837],
};

/** A colour at `share` (0 to 1) of the map, as [red, green, blue]. */
export function colourAt(map: ColourMap, share: number): [number, number, number] {
  const anchors = ANCHORS[map];
  const position = Math.min(Math.max(share, 0), 1) * (anchors.length - 1);
  const i = Math.min(Math.floor(position), anchors.length - 2);
  const [a, b] = [anchors[i]!, anchors[i + 1]!];
  const mix = (shift: number) => {
    const [low, high] = [(a >> shift) & 255, (b >> shift) & 255];
    return Math.round(low + (high - low) * (position - i));
  };
  return [mix(16), mix(8), mix(0)];
}

const tables = new Map<ColourMap, Uint32Array>();

/** 256 opaque colours in the byte order of ImageData (little-endian ABGR). */
export function table(map: ColourMap): Uint32Array {
  let colours = tables.get(map);
  if (!colours) {
    colours = Uint32Array.from({ length: 256 }, (_, i) => {
      const [r, g, b] = colourAt(map, i / 255);
      return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    });
    tables.set(map, colours);
  }
  return colours;
}

export interface Limits {
  readonly low: number;
  readonly high: number;
}

/**
 * The span of values that the colours are spread over: all but the lowest and highest fiftieth, so that a few
 * hot pixels do not darken the rest. On a logarithmic scale only positive values count; a diverging map is
 * centred on zero. Undefined where nothing was measured.
 */
export function limits(values: ArrayLike<number>, scale: "linear" | "log" | "centred"): Limits | undefined {
  const stride = Math.max(1, Math.floor(values.length / 4096));
  const sample: number[] = [];
  for (let i = 0; i < values.length; i += stride) {
    const value = values[i]!;
    if (Number.isFinite(value) && (scale !== "log" || value > 0)) sample.push(value);
  }
  if (sample.length === 0) return undefined;
  sample.sort((a, b) => a - b);
  const low = sample[Math.floor((sample.length - 1) * 0.02)]!;
  const high = sample[Math.ceil((sample.length - 1) * 0.98)]!;
  if (scale === "centred") {
    const most = Math.max(Math.abs(low), Math.abs(high));
    return { low: -most, high: most };
  }
  return { low, high };
}

/** Where a value lies between the limits, 0 to 1; NaN where it was not measured, or has no logarithm. */
export function shareOf(value: number, { low, high }: Limits, log: boolean): number {
  if (high === low) return Number.isNaN(value) ? NaN : 0.5;
  if (!log) return (value - low) / (high - low);
  return value > 0 ? Math.log(value / low) / Math.log(high / low) : NaN;
}

/** Paints values into pixels. What is not measured stays transparent, so that the hatched ground shows it. */
export function paint(
  values: ArrayLike<number>,
  pixels: Uint32Array,
  how: { readonly map: ColourMap; readonly limits: Limits; readonly log: boolean },
): void {
  const colours = table(how.map);
  const { low, high } = how.limits;
  if (!how.log && high > low) {
    // The same, several times as fast: this is most of what a frame of large slices costs.
    const factor = 255 / (high - low);
    for (let i = 0; i < pixels.length; i++) {
      const at = (values[i]! - low) * factor + 0.5;
      // Of NaN no comparison holds.
      pixels[i] = at >= 255 ? colours[255]! : at >= 0 ? colours[at | 0]! : at < 0 ? colours[0]! : 0;
    }
    return;
  }
  for (let i = 0; i < pixels.length; i++) {
    const share = shareOf(values[i]!, how.limits, how.log);
    pixels[i] = Number.isNaN(share) ? 0 : colours[Math.min(255, Math.max(0, Math.round(share * 255)))]!;
  }
}
