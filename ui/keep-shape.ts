/** Which points of a long curve to draw: of each stretch of neighbours the first, the least, the greatest and the last. */
export function keepShape(values: ArrayLike<number>, most: number): number[] {
  const n = values.length;
  if (n <= most) return Array.from({ length: n }, (_, i) => i);
  const stretches = Math.max(1, Math.floor(most / 4));
  const kept: number[] = [];
  for (let s = 0; s < stretches; s++) {
    const [from, to] = [Math.floor((s * n) / stretches), Math.floor(((s + 1) * n) / stretches) - 1];
    let [least, greatest, missing] = [from, from, -1];
    for (let i = from; i <= to; i++) {
      if (Number.isNaN(values[i]!)) missing = i;
      if (!(values[i]! >= values[least]!)) least = i;
      if (!(values[i]! <= values[greatest]!)) greatest = i;
    }
    // Where one is missing, the line must break there too.
    const wanted = missing < 0 ? [from, least, greatest, to] : [from, missing, to];
    kept.push(...new Set(wanted.sort((a, b) => a - b)));
  }
  return kept;
}
