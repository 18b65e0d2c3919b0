// The door of sources/: one line a source, grouped by family.
export {};
