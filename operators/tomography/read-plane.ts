import { WiringError } from "../../runtime/index.ts";
import { horizontal, plane, type Plane } from "./planes.ts";

const NUMBER = String.raw`\s*([-+]?\d*\.?\d+(?:e[-+]?\d+)?)\s*`;
const ALONG = new RegExp(`^\\s*([xyz])\\s*=${NUMBER}$`, "i");
const OBLIQUE = new RegExp(
  `^\\s*through${NUMBER},${NUMBER},${NUMBER}normal${NUMBER},${NUMBER},${NUMBER}$`,
  "i",
);

/**
 * A plane as a person writes it: x=12, y=0, z=512, or through x,y,z normal x,y,z; x and y in pixels from the rotation
 * axis, z a row of the detector. Upright ones are as high as the detector and `size` pixels wide.
 */
export function readPlane(
  name: string, written: string, { detector, size, pitch }: { detector: number; size: number; pitch: number },
): Plane {
  const [, letter, at] = ALONG.exec(written) ?? [];
  const middle = (detector - 1) / 2;
  const inside = (z: number): void => {
    if (z < 0 || z > detector - 1)
      throw new WiringError(`planes: ${name} lies at row ${z}; the detector has rows 0 to ${detector - 1}`);
  };
  if (letter?.toLowerCase() === "z") {
    inside(Number(at));
    return horizontal(Number(at), size, { pitch });
  }
  if (letter) {
    // Lines lie within the rows that there are.
    const rows = Math.floor((detector - 1) / pitch + 1e-9) + 1;
    const of = { rows, cols: size, pitch };
    return letter.toLowerCase() === "x" ? plane([Number(at), 0, middle], [1, 0, 0], of) : plane([0, Number(at), middle], [0, -1, 0], of);
  }
  const oblique = OBLIQUE.exec(written)?.slice(1).map(Number);
  if (!oblique) throw new WiringError(`planes: ${name}: ${written} is no plane; wanted x=12, y=0, z=512, or through x,y,z normal x,y,z`);
  const [x, y, z, nx, ny, nz] = oblique as [number, number, number, number, number, number];
  if (nx === 0 && ny === 0 && nz === 0) throw new WiringError(`planes: ${name}: its normal has no direction`);
  inside(z);
  return plane([x, y, z], [nx, ny, nz], { rows: size, cols: size, pitch });
} // prettier-ignore
