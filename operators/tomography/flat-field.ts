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
 * F and D are the means of the frames that were last taken in one go, without a projection in between: the noise of
 * a single flat field would stand in every projection as stripes, and in every slice as rings.
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

/** Mean of flat or dark frames that were taken in one go. A projection closes it: the next such frame begins anew. */
interface MeanField {
  /** In double precision, so that the mean does not depend on how many there are. */
  sum: Float64Array;
  count: number;
  closed: boolean;
}

function withFrame(field: MeanField | undefined, frame: Float32Array): MeanField {
  if (!field || field.closed) return { sum: Float64Array.from(frame), count: 1, closed: false };
  for (let i = 0; i < frame.length; i++) field.sum[i]! += frame[i]!;
  field.count++;
  return field;
}

interface Fields {
  flat?: MeanField;
  dark?: MeanField;
}

export const flatField = defineOperator({
  name: "tomography/flat-field",
  doc: "Flat-field correction of projections, from detector counts to transmission",
  input: { frames: { data: image("{count}"), rotation_angle: scalar("deg"), image_key: code() } },
  output: ({ frames }) => ({
    projections: { data: { ...frames.data, unit: "1", type: "f32" }, rotation_angle: frames.rotation_angle },
  }),
  config: {
    min_signal: quantity("{count}", 1, { min: 0, doc: "F - D below this marks a dead pixel" }),
  },
  start({ min_signal }) {
    let fields: Fields = {};
    let means: { flat: Float32Array; dark: Float32Array } | undefined;
    const mean = ({ sum, count }: MeanField): Float32Array => Float32Array.from(sum, (x) => x / count);
    return {
      step({ frames }, out) {
        for (let i = 0; i < frames.length; i++) {
          const { time, data, rotation_angle, image_key } = frames.at(i);
          if (image_key === FLAT || image_key === DARK) {
            const name = image_key === FLAT ? "flat" : "dark";
            fields[name] = withFrame(fields[name], data);
            means = undefined;
            continue;
          }
          if (image_key !== PROJECTION) continue;
          const { flat, dark } = fields;
          if (flat && dark) {
            flat.closed = dark.closed = true;
            means ??= { flat: mean(flat), dark: mean(dark) };
            out.projections.add({
              time,
              data: transmission(data, means.flat, means.dark, min_signal),
              rotation_angle,
            });
          } else {
            const missing = [!flat && "flat", !dark && "dark"].filter(Boolean).join(" and ");
            out.fault(time, `projection came before its ${missing} field; record one before the scan starts`);
          }
        }
      },
      save: () => structuredClone(fields),
      load: (saved: Fields) => {
        fields = saved;
        means = undefined;
      },
    };
  },
});
