/** Colours, type and the few parts that several elements have in common. */
import { css } from "lit";

export const theme = css`
  :host {
    --ground: #1b1d21;
    --panel: #22252a;
    --raised: #2b2f35;
    --line: #393e46;
    --grid: #2c3036;
    --text: #e4e6e9;
    --quiet: #a3abb5;
    --alarm: #ff5c50;
    --amber: #ffc247;
    --good: #35c497;
    --focus: #8cc8ff;
    color-scheme: dark;
  }
`;

export const parts = css`
  :host {
    box-sizing: border-box;
    font:
      13px/1.35 "Inter",
      "Noto Sans",
      "Segoe UI",
      "Helvetica Neue",
      "Liberation Sans",
      Arial,
      sans-serif;
    font-variant-numeric: tabular-nums;
    color: var(--text);
  }
  :host([hidden]) {
    display: none;
  }
  *,
  *::before,
  *::after {
    box-sizing: inherit;
  }
  button {
    font: inherit;
    color: var(--text);
    background: var(--raised);
    border: 1px solid var(--line);
    border-radius: 4px;
    padding: 2px 9px;
    white-space: nowrap;
    cursor: pointer;
  }
  button:hover {
    border-color: var(--quiet);
  }
  button[aria-pressed="true"],
  button[aria-expanded="true"] {
    background: #3b4754;
    border-color: #6f8aa6;
  }
  :focus-visible {
    outline: 2px solid var(--focus);
    outline-offset: 1px;
  }
  kbd {
    font: inherit;
    border: 1px solid var(--line);
    border-bottom-width: 2px;
    border-radius: 4px;
    padding: 0 5px;
    background: var(--raised);
  }
  h2 {
    font-size: 13px;
    font-weight: 600;
    margin: 0;
  }
  .quiet {
    color: var(--quiet);
  }
  .late {
    color: var(--amber);
  }
  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
`;
