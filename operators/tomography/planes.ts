/**
 * A picture through the sample. Its lines lie at one height each, so that a line sees one detector row: every plane
 * can be had so. Lengths in pixels of the detector at the sample; x and y from the rotation axis, x to the right and
 * y upwards in a horizontal slice; z is the detector's row, counted from its top.
 */
export interface Plane {
  /** Lines, and pixels along a line. */
  readonly rows: number;
  readonly cols: number;
  /** Middle of the first pixel of the first line. */
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** From one pixel of a line to the next. */
  readonly alongX: number;
  readonly alongY: number;
  /** From one line to the next. */
  readonly downX: number;
  readonly downY: number;
  readonly downZ: number;
  /** Pixels further than `radius` [pixels of the picture] from this place of it need not be made. */
  readonly circle: { readonly row: number; readonly col: number; readonly radius: number };
}

const NO_CIRCLE = { row: 0, col: 0, radius: Infinity };

/** A horizontal slice of `size` × `size` pixels about a place, `pitch` detector pixels apart; row 0 at the top. */
export function horizontal(
  z: number, size: number, { pitch = 1, x = 0, y = 0, radius = Infinity } = {},
): Plane {
  const half = ((size - 1) / 2) * pitch;
  return {
    rows: size, cols: size, x: x - half, y: y + half, z,
    alongX: pitch, alongY: 0, downX: 0, downY: -pitch, downZ: 0,
    circle: radius === Infinity ? NO_CIRCLE
      : { row: (size - 1) / 2 + y / pitch, col: (size - 1) / 2 - x / pitch, radius: radius / pitch },
  }; // prettier-ignore
} // prettier-ignore

/**
 * The plane through a place with a normal, as wide as `cols` and as high as `rows` pixels about that place. Its lines
 * run horizontally; it is seen with the normal pointing at the viewer, and downwards in it is as far downwards as it goes.
 */
export function plane(
  through: readonly [x: number, y: number, z: number], normal: readonly [x: number, y: number, z: number],
  { rows, cols, pitch = 1 }: { rows: number; cols: number; pitch?: number },
): Plane {
  // z is counted downwards: with up = -z the frame is right-handed.
  const [nx, ny, nz] = normal;
  const level = Math.hypot(nx, ny);
  const length = Math.hypot(level, nz);
  const upright = level > 1e-9 * length;
  const [ax, ay] = upright ? [-ny / level, nx / level] : [1, 0];
  // downwards in the plane: normal × along, in x, y and z (down)
  const [dx, dy, dz] = upright
    ? [(nx * -nz) / (level * length), (ny * -nz) / (level * length), level / length]
    : [0, -1, 0];
  const [x, y, z] = through;
  const [halfCols, halfRows] = [((cols - 1) / 2) * pitch, ((rows - 1) / 2) * pitch];
  return {
    rows, cols,
    x: x - halfCols * ax - halfRows * dx, y: y - halfCols * ay - halfRows * dy, z: z - halfRows * dz,
    alongX: pitch * ax, alongY: pitch * ay, downX: pitch * dx, downY: pitch * dy, downZ: pitch * dz,
    circle: NO_CIRCLE,
  }; // prettier-ignore
} // prettier-ignore

/** True where all lines lie at one height. */
export const isLevel = ({ downZ, rows }: Plane): boolean => downZ === 0 || rows === 1;

/** Heights that its lines lie at, least and most. */
export function heights({ rows, z, downZ }: Plane): [least: number, most: number] {
  const last = z + (rows - 1) * downZ;
  return [Math.min(z, last), Math.max(z, last)];
}

/** Where a view sees the pixels of a plane: t = start + col × along + row × down. */
export interface Passing {
  readonly start: number;
  readonly along: number;
  readonly down: number;
}

export interface ViewGeometry {
  readonly theta_rad: number;
  /** Column that the rotation axis fell on. */
  readonly axis: number;
  /** So far downwards the sample was recorded [rows]. */
  readonly shift_y: number;
  /** Size of the sample against the one that is shown. */
  readonly scale: number;
}

export function passing(of: Plane, { theta_rad, axis, scale }: ViewGeometry): Passing {
  const [cos, sin] = [scale * Math.cos(theta_rad), scale * Math.sin(theta_rad)];
  return {
    start: axis + of.x * cos + of.y * sin,
    along: of.alongX * cos + of.alongY * sin,
    down: of.downX * cos + of.downY * sin,
  };
}

/** Row of the detector, of a height, in a view; `middle` is what the sample swells from. */
export const rowAt = (z: number, middle: number, { shift_y, scale }: ViewGeometry): number =>
  middle + (z - middle) * scale + shift_y;
