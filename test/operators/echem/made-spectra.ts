/** Impedance spectra that are made of elements in series. */
export type Z = readonly [re: number, im: number];
export type Element = (omega: number) => Z;

export const ohm =
  (R: number): Element =>
  () => [R, 0];
export const henry =
  (L: number): Element =>
  (w) => [0, w * L];
export const farad =
  (C: number): Element =>
  (w) => [0, -1 / (w * C)];
/** Diffusion into infinite depth. */
export const warburg =
  (A: number): Element =>
  (w) => [A / Math.sqrt(w), -A / Math.sqrt(w)];
export const rc = (R: number, tau: number): Element => (w) => [R / (1 + (w * tau) ** 2), (-R * w * tau) / (1 + (w * tau) ** 2)]; // prettier-ignore
/** A resistance beside an inductance: what makes a loop above the real axis. */
export const rl = (R: number, tau: number): Element => (w) => [(R * (w * tau) ** 2) / (1 + (w * tau) ** 2), (R * w * tau) / (1 + (w * tau) ** 2)]; // prettier-ignore
/** A depressed arc: R / (1 + (jωτ)^a). */
export const zarc =
  (R: number, tau: number, a: number): Element =>
  (w) => {
    const x = (w * tau) ** a;
    const [c, s] = [1 + x * Math.cos((a * Math.PI) / 2), x * Math.sin((a * Math.PI) / 2)];
    return [(R * c) / (c * c + s * s), (-R * s) / (c * c + s * s)];
  };
export const series = (...parts: readonly Element[]): Element => (w) => {
  let [re, im] = [0, 0];
  for (const part of parts) {
    const z = part(w);
    re += z[0];
    im += z[1];
  }
  return [re, im];
}; // prettier-ignore

/** From high to low. */
export const frequencies = (highest: number, decades: number, perDecade = 7): number[] =>
  Array.from({ length: Math.round(decades * perDecade) + 1 }, (_, i) => highest * 10 ** (-i / perDecade));

/** Normal deviates that every run repeats. */
export function normals(seed: number): () => number {
  let a = seed | 0;
  const uniform = (): number => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

export interface Made {
  readonly frequency: readonly number[];
  readonly z: readonly Z[];
  /** Seconds from its last frequency. */
  readonly offset?: readonly number[];
  readonly time_s?: number;
  readonly electrode?: number;
}

export function spectrum(frequency: readonly number[], of: Element, noise = 0, normal = normals(1)): Made {
  const z = frequency.map((f): Z => {
    const [re, im] = of(2 * Math.PI * f);
    const s = noise * Math.hypot(re, im);
    return [re + s * normal(), im + s * normal()];
  });
  return { frequency, z };
}

/** Rows of `impedance`, one for each. */
export function rowsOf(spectra: readonly Made[]) {
  const offsets = Int32Array.from([0, ...spectra.map(({ frequency }) => frequency.length)]);
  for (let i = 1; i < offsets.length; i++) offsets[i]! += offsets[i - 1]!;
  const list = (of: (one: Made) => readonly number[]) => ({ values: Float64Array.from(spectra.flatMap((one) => [...of(one)])), offsets });
  return {
    time: BigInt64Array.from(spectra, ({ time_s }, i) => BigInt(Math.round((time_s ?? i * 1000 + 1000) * 1e9))),
    index: Int32Array.from(spectra, (_, i) => i),
    electrode: Int32Array.from(spectra, ({ electrode }) => electrode ?? 0),
    frequency: list(({ frequency }) => frequency),
    z_real: list(({ z }) => z.map(([re]) => re)),
    z_imaginary: list(({ z }) => z.map(([, im]) => im)),
    offset: list(({ frequency, offset }) => offset ?? frequency.map((_, i) => i - frequency.length + 1)),
  };
} // prettier-ignore
