/**
 * Back-projection of one row as a plain loop in C, compiled on the spot where there is a compiler: what a person would
 * write first, with all that the compiler makes of it (-O3 -march=native).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SOURCE = `
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void add(float *image, int n, const float *q, int cols, float axis, float c, float s) {
  float middle = 0.5f * (n - 1);
  for (int r = 0; r < n; r++) {
    float start = axis - middle * c + (middle - r) * s;
    for (int k = 0; k < n; k++) {
      float t = start + k * c;
      int i = (int)floorf(t);
      if (i < 0 || i >= cols - 1) continue;
      float f = t - i;
      image[r * n + k] += q[i] + f * (q[i + 1] - q[i]);
    }
  }
}

int main(int argc, char **argv) {
  int n = atoi(argv[1]), views = atoi(argv[2]);
  float *image = calloc((size_t)n * n, sizeof(float)), *q = malloc(n * sizeof(float));
  for (int i = 0; i < n; i++) q[i] = sinf(i * 0.05f);
  struct timespec a, b;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
  for (int k = 0; k < views; k++) {
    float theta = (k + 0.5f) * 3.14159265f / views;
    add(image, n, q, n, 0.5f * (n - 1), cosf(theta), sinf(theta));
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  double ms = ((b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) * 1e-6) / views;
  printf("%.6f %g\\n", ms, image[n / 2]);
  return 0;
}
`;

let program: string | undefined | null;

/** Milliseconds of processor time that one row into a slice of `size` × `size` takes; undefined without a compiler. */
export function plainC_ms(size: number): number | undefined {
  program ??= compiled() ?? null;
  if (program === null) return undefined;
  const { status, stdout } = spawnSync(program, [String(size), "48"], { encoding: "utf8" });
  return status === 0 ? Number(stdout.split(" ")[0]) : undefined;
}

function compiled(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "operando-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "loop.c"), SOURCE);
  const out = join(folder, "loop");
  const { status } = spawnSync("cc", ["-O3", "-march=native", "-o", out, join(folder, "loop.c"), "-lm"]);
  return status === 0 ? out : undefined;
}
