/**
 * The experiment: what a run measures, from the pipeline file or a `sample.yaml` beside it. What stands in the
 * run's manifest is plain: masses in mg, areas in cm², times as text.
 */
import {
  choice,
  formatTime,
  parseTime,
  quantity,
  readConfig,
  text,
  type ConfigOf,
  type Problem,
} from "../runtime/index.ts";

const STATES = ["ex situ", "in situ", "in operando"] as const;
type State = (typeof STATES)[number];

/** Keys and their units; `state` stands apart, since it may change during the run. */
export const experimentOptions = {
  cell: text("", { doc: "name of the cell, such as cell 7" }),
  sample: text("", { doc: "name of the sample that the cell was made from" }),
  project: text("", { doc: "what it belongs to" }),
  operator: text("", { doc: "who measures" }),
  electrolyte: text("", { doc: "as 1 M LiPF6 in EC:DMC 1:1" }),
  active_mass: quantity("mg", 0, { min: 0, doc: "mass of active material: A.h become mA.h/g by it" }),
  electrode_mass: quantity("mg", 0, { min: 0, doc: "mass of the coating, binder and carbon included" }),
  electrolyte_mass: quantity("mg", 0, { min: 0, doc: "mass of electrolyte filled in" }),
  electrode_area: quantity("cm2", 0, { min: 0, doc: "geometric area: A become mA/cm2 by it" }),
  comment: text("", { doc: "anything else" }),
};

const stretchOptions = {
  state: choice(STATES, "in operando", { doc: "how the sample was measured" }),
  from: text("", { doc: "begins here; empty: with the run" }),
  to: text("", { doc: "ends before this; empty: with the run, or where the next begins" }),
};

/** The state of the sample in one stretch of time; times as ISO text, absent where the run bounds it. */
export interface Stretch {
  readonly state: State;
  readonly from?: string;
  readonly to?: string;
}

export type Experiment = Partial<ConfigOf<typeof experimentOptions>> & {
  readonly state?: readonly Stretch[];
};

/** What was said of the experiment, checked and converted; what was not said stays absent. */
export function readExperiment(given: Readonly<Record<string, unknown>>): {
  experiment: Experiment;
  problems: Problem[];
} {
  const { state, ...rest } = given;
  const plain: Record<string, unknown> = rest;
  // A cell is often called 7.
  for (const [key, value] of Object.entries(plain)) {
    const isText = experimentOptions[key as keyof typeof experimentOptions]?.kind === "text";
    if (isText && typeof value === "number") plain[key] = String(value);
  }
  const { config, problems: mistakes } = readConfig({ ...experimentOptions, state: STATE }, plain);
  const problems: Problem[] = mistakes.map(({ key, message }) => ({ path: [key], message }));
  const experiment: Record<string, unknown> = {};
  for (const key of Object.keys(experimentOptions) as (keyof typeof experimentOptions)[]) {
    const value = config[key];
    if (plain[key] === undefined || plain[key] === null || value === undefined) continue;
    if (experimentOptions[key].kind === "quantity" && value === 0) {
      problems.push({
        path: [key],
        message: "0 is not a measured value; leave it out where it is not known",
      });
    } else experiment[key] = value;
  }
  if (state !== undefined && state !== null) experiment["state"] = stretches(state, problems);
  return { experiment: experiment as Experiment, problems };
}

/** Stands in the list of allowed keys; `stretches` reads it. */
const STATE = text("", { doc: `${STATES.join(", ")}; or a list of { state, from, to }` });

function stretches(given: unknown, problems: Problem[]): Stretch[] {
  if (typeof given === "string") given = [{ state: given }];
  if (!Array.isArray(given)) {
    problems.push({
      path: ["state"],
      message: `wanted one of ${STATES.join(", ")}, or a list such as [{ state: in situ, to: 2026-11-22T10:15:00Z }]`,
    });
    return [];
  }
  const found: Stretch[] = [];
  let before: bigint | undefined;
  given.forEach((one: unknown, i) => {
    if (typeof one !== "object" || one === null || Array.isArray(one)) {
      problems.push({ path: ["state", i], message: "wanted { state, from, to }" });
      return;
    }
    const { config, problems: mistakes } = readConfig(stretchOptions, one as Record<string, unknown>);
    for (const { key, message } of mistakes) problems.push({ path: ["state", i, key], message });
    const time = (key: "from" | "to"): bigint | undefined => {
      if (!config[key]) return undefined;
      try {
        return parseTime(config[key]);
      } catch (error) {
        problems.push({ path: ["state", i, key], message: (error as Error).message });
        return undefined;
      }
    };
    const from = time("from");
    const to = time("to");
    if (i > 0 && !config.from)
      problems.push({
        path: ["state", i],
        message: "only the first stretch may begin with the run; give it a from",
      });
    if (from !== undefined && before !== undefined && from < before)
      problems.push({ path: ["state", i, "from"], message: `begins before the stretch above it ends` });
    if (from !== undefined && to !== undefined && to <= from)
      problems.push({ path: ["state", i, "to"], message: `ends before it begins` });
    before = to ?? from ?? before;
    found.push({
      state: config.state,
      ...(from !== undefined && { from: formatTime(from) }),
      ...(to !== undefined && { to: formatTime(to) }),
    });
  });
  return found;
}
