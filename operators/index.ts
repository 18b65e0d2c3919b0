// The door of operators/: one line an operator, grouped by technique.

// tomography
export { flatField } from "./tomography/flat-field.ts";
