/**
 * At most two device pixels a CSS pixel: a telephone's third makes every chart cost 2.25 times as much and shows
 * nothing more. uPlot reads the window's ratio when it is loaded, so this is imported before it.
 */
const MOST = 2;

if (window.devicePixelRatio > MOST) {
  Object.defineProperty(window, "devicePixelRatio", { configurable: true, get: () => MOST });
}

export const pixelRatio = (): number => Math.min(window.devicePixelRatio, MOST);
