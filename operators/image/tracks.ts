import type { Component, Labelled, Runs } from "./connected-components.ts";

/**
 * Which component of a picture is which of the picture before: by overlap.
 *
 * A component goes on with the number of the largest one before that it overlaps and that no other has taken; of
 * several that overlap the same one, that with the largest overlap takes the number. So growth and drift by less than
 * a diameter keep it; where two merge the larger goes on and the other ends as merged; where one splits, the part
 * with the larger overlap goes on and the other begins as split from it.
 */
export interface Track {
  readonly id: number;
  readonly pixels: number;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** Seconds at which it was first seen. */
  readonly since: number;
}

/** The components of the last picture (or stack), with where their pixels are. */
export interface Tracks {
  readonly tracks: readonly Track[];
  /** Runs of tracked components by line, as in `Runs`. */
  readonly start: Int32Array;
  readonly x0: Int32Array;
  readonly x1: Int32Array;
  /** Index into `tracks` of each run. */
  readonly of: Int32Array;
}

export const APPEARED = 0, SPLIT = 1, MERGED = 2, VANISHED = 3; // prettier-ignore

export interface TrackEvent {
  readonly event: number;
  readonly track: Track;
  /** What it was split from or merged into; -1 where nothing. */
  readonly other: number;
}

export interface Followed {
  readonly state: Tracks;
  /** Track of each component; undefined for those that are not followed. */
  readonly trackOf: ReadonlyMap<number, Track>;
  /** What the track was before; undefined for a new one. */
  readonly before: ReadonlyMap<number, Track>;
  readonly events: readonly TrackEvent[];
}

export interface FollowOptions {
  readonly seconds: number;
  /** A new number begins with so many pixels. Who has one keeps it also while smaller. */
  readonly minSize: number;
  /** At most so many are followed, the largest. */
  readonly most: number;
  newId(): number;
}

export function follow(last: Tracks | undefined, labelled: Labelled, runs: Runs, options: FollowOptions): Followed {
  const { components } = labelled;
  const pairs = last ? overlaps(last, labelled, runs) : [];
  const touched = new Set(pairs.map(({ now }) => now));
  const eligible = components
    .flatMap((c, index) => (c.pixels >= options.minSize || touched.has(index) ? [index] : []))
    .sort((a, b) => components[b]!.pixels - components[a]!.pixels || a - b)
    .slice(0, options.most);
  const followed = new Set(eligible);

  // The largest of before chooses first, and takes what it overlaps most.
  pairs.sort((a, b) =>
    b.before.pixels - a.before.pixels || a.before.id - b.before.id || b.overlap - a.overlap || a.now - b.now); // prettier-ignore
  const trackOf = new Map<number, Track>();
  const before = new Map<number, Track>();
  const kept = new Set<Track>();
  const seen = new Map<number, Track>();
  const place = (index: number): Pick<Track, "pixels" | "x" | "y" | "z"> => {
    const { pixels, x, y, z } = components[index] as Component;
    return { pixels, x, y, z };
  };
  for (const { before: track, now } of pairs) {
    if (kept.has(track) || before.has(now) || !followed.has(now)) continue;
    kept.add(track);
    before.set(now, track);
    seen.set(now, { id: track.id, since: track.since, ...place(now) });
  }
  const events: TrackEvent[] = [];
  const parentOf = new Map<number, Overlap>();
  const childOf = new Map<Track, Overlap>();
  for (const pair of pairs) {
    if (pair.overlap > (parentOf.get(pair.now)?.overlap ?? 0)) parentOf.set(pair.now, pair);
    if (followed.has(pair.now) && pair.overlap > (childOf.get(pair.before)?.overlap ?? 0)) childOf.set(pair.before, pair);
  }
  // In the order of their first pixels, so that new numbers do not depend on sizes alone.
  for (const index of eligible.sort((a, b) => a - b)) {
    let track = seen.get(index);
    if (!track) {
      if (components[index]!.pixels < options.minSize) continue;
      track = { id: options.newId(), since: options.seconds, ...place(index) };
      const parent = parentOf.get(index);
      events.push({ event: parent ? SPLIT : APPEARED, track, other: parent ? parent.before.id : -1 });
    }
    trackOf.set(index, track);
  }
  for (const track of last?.tracks ?? []) {
    if (kept.has(track)) continue;
    const child = childOf.get(track);
    const into = child && trackOf.get(child.now);
    events.push({ event: into ? MERGED : VANISHED, track, other: into ? into.id : -1 });
  }
  return { state: remembered(trackOf, labelled, runs), trackOf, before, events };
} // prettier-ignore

interface Overlap {
  readonly before: Track;
  readonly now: number;
  overlap: number;
}

/** Pixels that a component before and one now have in common, for all that have some. */
function overlaps(last: Tracks, { of, components }: Labelled, runs: Runs): Overlap[] {
  const found = new Map<number, Overlap>();
  for (let line = 0; line < runs.lines; line++) {
    let i = last.start[line]!;
    const end = last.start[line + 1]!;
    if (i === end) continue;
    let k = runs.start[line]!;
    const endNow = runs.start[line + 1]!;
    while (i < end && k < endNow) {
      const common = Math.min(last.x1[i]!, runs.x1[k]!) - Math.max(last.x0[i]!, runs.x0[k]!);
      if (common > 0) {
        const key = last.of[i]! * components.length + of[k]!;
        const pair = found.get(key);
        if (pair) pair.overlap += common;
        else found.set(key, { before: last.tracks[last.of[i]!]!, now: of[k]!, overlap: common });
      }
      if (last.x1[i]! < runs.x1[k]!) i++;
      else k++;
    }
  }
  return [...found.values()];
}

/** The runs of followed components, as copies. */
function remembered(trackOf: ReadonlyMap<number, Track>, { of }: Labelled, runs: Runs): Tracks {
  const indices = new Map([...trackOf.keys()].map((component, i) => [component, i]));
  const start = new Int32Array(runs.lines + 1);
  const [x0, x1, tracked]: [number[], number[], number[]] = [[], [], []];
  for (let line = 0; line < runs.lines; line++) {
    for (let i = runs.start[line]!; i < runs.start[line + 1]!; i++) {
      const track = indices.get(of[i]!);
      if (track === undefined) continue;
      x0.push(runs.x0[i]!);
      x1.push(runs.x1[i]!);
      tracked.push(track);
    }
    start[line + 1] = x0.length;
  }
  return {
    tracks: [...trackOf.values()],
    start,
    x0: Int32Array.from(x0),
    x1: Int32Array.from(x1),
    of: Int32Array.from(tracked),
  };
}
