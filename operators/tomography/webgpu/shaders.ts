/**
 * The kernels in WGSL. It has no numbers of 64 bits, so t is an integer: 32 bits before and 32 after the point for a
 * tile of pixels, and from the tile's middle on an offset in what 32 bits leave room for (26 bits after the point
 * while pixels are no further apart than samples). A pixel is one invocation, which takes its lines in their order.
 */

/** Pixels of a tile, along either side; lines that go into an image in one pass. */
export const TILE = 16;
export const LINES = 16;

/**
 * Ramp filter, as the sum that it is: q[i] = Σ_j tap[|i - j|] p[j]. An FFT of 8192 points does not fit into the memory
 * that a workgroup surely has (16 KiB), and rows may have any length so. Beyond its ends a row goes on with its end values
 * times `left` and `right`, the sums of the taps out there: zeros where padding is zero. Four rows go together;
 * sums are made of sums of 256, which keeps roundings small.
 */
export const FILTER = /* wgsl */ `
struct Rows { cols: u32, rows: u32, into: u32 }
@group(0) @binding(0) var<uniform> given: Rows;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read> taps: array<f32>;  // taps, left, right: cols each
@group(0) @binding(3) var<storage, read_write> slots: array<f32>;

var<workgroup> samples: array<vec4f, 256>;
var<workgroup> near: array<f32, 512>;

fn four(row: u32, j: u32) -> vec4f {
  var x = vec4f(0);
  if (j < given.cols) {
    for (var k = 0u; k < 4u && row + k < given.rows; k++) { x[k] = p[(row + k) * given.cols + j]; }
  }
  return x;
}

fn tap(apart: i32) -> f32 {
  let d = u32(abs(apart));
  return select(0.0, taps[min(d, given.cols - 1u)], d < given.cols);
}

@compute @workgroup_size(256)
fn ramp(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) k: u32) {
  let first = 256u * group.x;
  let row = 4u * group.y;
  let i = first + k;
  var sum = vec4f(0);
  for (var begin = 0u; begin < given.cols; begin += 256u) {
    samples[k] = four(row, begin + k);
    let apart = i32(first) - i32(begin) + i32(k) - 255;
    near[k] = tap(apart);
    near[k + 256u] = tap(apart + 256);
    workgroupBarrier();
    var part = vec4f(0);
    for (var j = 0u; j < 256u; j++) { part += samples[j] * near[k + 255u - j]; }
    sum += part;
    workgroupBarrier();
  }
  if (i >= given.cols) { return; }
  sum += taps[given.cols + i] * four(row, 0u) + taps[2u * given.cols + i] * four(row, given.cols - 1u);
  for (var r = 0u; r < 4u && row + r < given.rows; r++) { slots[given.into + (row + r) * given.cols + i] = sum[r]; }
}`;

/**
 * The rows that lines of planes see: Σ weight × stored row, between two detector rows, and where pixels are further
 * apart than samples its mean over `width` samples about each: `whole` + `part` on either side.
 */
export const COMBINE = /* wgsl */ `
struct Line { cols: u32, terms: u32, into: u32 }
struct Term { at: u32, weight: f32, mirrored: u32 }
struct Place { first: u32, second: u32, fraction: f32, width: f32, whole: i32, part: f32 }
@group(0) @binding(0) var<uniform> line: Line;
@group(0) @binding(1) var<storage, read> terms: array<Term>;
@group(0) @binding(2) var<storage, read> places: array<Place>;
@group(0) @binding(3) var<storage, read> slots: array<f32>;
@group(0) @binding(4) var<storage, read_write> rows: array<f32>;

fn sample(place: Place, i: u32) -> f32 {
  var sum = 0.0;
  for (var k = 0u; k < line.terms; k++) {
    let at = terms[k].at + select(i, line.cols - 1u - i, terms[k].mirrored != 0u);
    let first = slots[at + place.first * line.cols];
    let second = slots[at + place.second * line.cols];
    sum += terms[k].weight * (first + place.fraction * (second - first));
  }
  return sum;
}

fn mean(place: Place, i: i32) -> f32 {
  let last = i32(line.cols) - 1;
  let first = i - place.whole - 1;
  let after = i + place.whole;
  var sum = 0.0;
  var a = 0.0;
  for (var k = max(first, 0); k <= min(after + 1, last); k++) {
    let b = sample(place, u32(k));
    // from sample k - 1 to k: all of it, or the part at either end
    if (k - 1 == first && first >= 0) { sum += place.part * (b + 0.5 * place.part * (a - b)); }
    else if (k - 1 == after) { sum += place.part * (a + 0.5 * place.part * (b - a)); }
    else if (k - 1 >= max(first, 0)) { sum += 0.5 * (a + b); }
    a = b;
  }
  return sum / place.width;
}

@compute @workgroup_size(64)
fn combine(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= line.cols) { return; }
  let place = places[id.y];
  let into = line.into + id.y * (line.cols + 1u) + id.x;
  var q = 0.0;
  if (place.width > 0.0) { q = mean(place, i32(id.x)); } else { q = sample(place, id.x); }
  rows[into] = q;
  // The last sample stands twice: a pixel on it asks for the next one too.
  if (id.x == line.cols - 1u) { rows[into + 1u] = q; }
}`;

/** `slack`: so far beyond the detector's ends, in the last bits of t, a pixel is still taken for one on them: roundings. */
const back = (slack: number): string => /* wgsl */ `
const slack = ${slack};
struct Plane { rows: u32, cols: u32, samples: u32, base: u32, apart: u32, line_apart: u32 }
@group(0) @binding(0) var<uniform> plane: Plane;
@group(0) @binding(1) var<storage, read> views: Views;
@group(0) @binding(2) var<storage, read> spans: array<vec2i>;
@group(0) @binding(3) var<storage, read> rows: array<f32>;
@group(0) @binding(4) var<storage, read_write> image: array<f32>;

/** q(t) of a line, t as far from a whole sample as offset says; zero beyond the detector. */
fn seen(line: u32, r: u32, whole: i32, offset: i32, bits: u32) -> f32 {
  let shifted = offset + slack;
  let i = whole + (shifted >> bits);
  let fraction = shifted & ((1 << bits) - 1);
  let last = i32(plane.samples) - 1;
  if (i < 0 || i > last || (i == last && fraction > 2 * slack)) { return 0.0; }
  let at = plane.base + line * plane.line_apart + r * plane.apart + u32(i);
  let q = rows[at];
  return q + f32(fraction - slack) / f32(1 << bits) * (rows[at + 1u] - q);
}`;

/** Back-projection, parallel beam: image(r, c) += q(t), t = start + c along + r down. */
export const PARALLEL = /* wgsl */ `
/** 32 bits after the point, low word first: t in the middle of tile 0, and how it grows from tile to tile. */
struct View { start: vec2u, across: vec2u, downwards: vec2u, along: i32, down: i32, bits: u32 }
struct Views { count: u32, list: array<View, ${LINES}> }
${back(16)}
var<workgroup> middle: array<vec2i, ${LINES}>;

fn plus(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn times(a: vec2u, n: u32) -> vec2u {
  let low = (a.x & 0xffffu) * n;
  let high = (a.x >> 16u) * n + (low >> 16u);
  return vec2u((high << 16u) | (low & 0xffffu), a.y * n + (high >> 16u));
}

@compute @workgroup_size(${TILE}, ${TILE})
fn back(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(local_invocation_index) k: u32) {
  if (k < views.count) {
    let view = views.list[k];
    let t = plus(view.start, plus(times(view.across, tile.x), times(view.downwards, tile.y)));
    middle[k] = vec2i(bitcast<i32>(t.y), i32(t.x >> (32u - view.bits)));
  }
  workgroupBarrier();
  let c = ${TILE}u * tile.x + id.x;
  let r = ${TILE}u * tile.y + id.y;
  if (r >= plane.rows || i32(c) < spans[r].x || i32(c) >= spans[r].y) { return; }
  let x = i32(id.x) - ${TILE / 2};
  let y = i32(id.y) - ${TILE / 2};
  var sum = image[r * plane.cols + c];
  for (var n = 0u; n < views.count; n++) {
    sum += seen(n, r, middle[n].x, middle[n].y + x * views.list[n].along + y * views.list[n].down, views.list[n].bits);
  }
  image[r * plane.cols + c] = sum;
}`;

/**
 * The same for a fan beam: image(r, c) += q(t) / u², t = axis + a / u. About the middle of a tile, where t = axis + s and
 * u = 1 + v, t changes by (Δa - s Δu) / u: the host gives t and v there, and the coefficients of that numerator.
 */
export const FAN = /* wgsl */ `
struct View { along: f32, down: f32, bits: u32 }
struct Views { count: u32, list: array<View, ${LINES}> }
struct Middle { whole: i32, part: i32, along: i32, down: i32, v: f32 }
${back(128)}
@group(0) @binding(5) var<storage, read> tiles: array<Middle>;

@compute @workgroup_size(${TILE}, ${TILE})
fn back(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(num_workgroups) all: vec3u) {
  let c = ${TILE}u * tile.x + id.x;
  let r = ${TILE}u * tile.y + id.y;
  if (r >= plane.rows || i32(c) < spans[r].x || i32(c) >= spans[r].y) { return; }
  let x = i32(id.x) - ${TILE / 2};
  let y = i32(id.y) - ${TILE / 2};
  var sum = image[r * plane.cols + c];
  for (var n = 0u; n < views.count; n++) {
    let middle = tiles[(n * all.y + tile.y) * all.x + tile.x];
    let v = middle.v + f32(x) * views.list[n].along + f32(y) * views.list[n].down;
    let numerator = x * middle.along + y * middle.down;
    let offset = middle.part + numerator - i32(round(f32(numerator) * (v / (1.0 + v))));
    sum += seen(n, r, middle.whole, offset, views.list[n].bits) / ((1.0 + v) * (1.0 + v));
  }
  image[r * plane.cols + c] = sum;
}`;

export const SCALED = /* wgsl */ `
struct Given { cols: u32, factor: f32 }
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> image: array<f32>;
@group(0) @binding(2) var<storage, read_write> shown: array<f32>;

@compute @workgroup_size(64)
fn scaled(@builtin(global_invocation_id) id: vec3u) {
  let at = id.y * given.cols + id.x;
  if (id.x < given.cols) { shown[at] = image[at] * given.factor; }
}`;
