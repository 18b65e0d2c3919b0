import { code, defineOperator, image, quantity, scalar } from "../../runtime/index.ts";

/**
 * Flat-field correction: detector counts to transmission.
 *
 *     T = (P - D) / (F - D)
 *
 *     P  projection    [count]  (row, col)  sample in, beam on
 *     F  flat field    [count]  (row, col)  sample out, beam on
 *     D  dark field    [count]  (row, col)  beam off
 *     T  transmission  [1]      (row, col)  0 opaque, 1 clear
 *
 * Holds while the beam is as bright at P as it was at F.
 * Where F - D is under `minSignal_count`, T is NaN: a dead pixel stays
 * visible downstream in place of passing as a measurement.
 *
 * Reference: Van Nieuwenhove et al., Opt. Express 23, 27975 (2015).
 */
export function transmission(
  projection: Float32Array,
  flat: Float32Array,
  dark: Float32Array,
  minSignal_count: number,
): Float32Array {
  return projection.map((p, i) => {
    const signal = flat[i]! - dark[i]!;
    return signal < minSignal_count ? NaN : (p - dark[i]!) / signal;
  });
}

const PROJECTION = 0, FLAT = 1, DARK = 2; // prettier-ignore

interface Fields {
  flat?: Float32Array;
  dark?: Float32Array;
}

export const flatField = defineOperator({
  name: "tomography/flat-field",
  input: { frames: { data: image("{count}"), rotation_angle: scalar("deg"), image_key: code() } },
  output: ({ frames }) => ({
    projections: { data: { ...frames.data, unit: "1", type: "f32" }, rotation_angle: frames.rotation_angle },
  }),
  config: {
    min_signal: quantity("{count}", 1, { min: 0, doc: "F - D below this marks a dead pixel" }),
  },
  start({ min_signal }) {
    let fields: Fields = {};
    return {
      step({ frames }, out) {
        for (let i = 0; i < frames.length; i++) {
          const { time, seconds, data, rotation_angle, image_key } = frames.at(i);
          const { flat, dark } = fields;
          if (image_key === FLAT) fields = { ...fields, flat: data.slice() };
          else if (image_key === DARK) fields = { ...fields, dark: data.slice() };
          else if (image_key !== PROJECTION) continue;
          else if (flat && dark) {
            out.projections.add({ time, data: transmission(data, flat, dark, min_signal), rotation_angle });
          } else {
            out.fault(
              seconds,
              `projection came before its ${flat ? "dark" : "flat"} field; record one before the scan starts`,
            );
          }
        }
      },
      save: () => fields,
      load: (saved: Fields) => void (fields = saved),
    };
  },
});
