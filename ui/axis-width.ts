/** Room for the numbers of an axis, px: the same in all panels, so that their times lie over one another. */
export const AXIS_px = 58;
/** Signs of a number and its unit that fit. */
export const MOST_IN_AXIS = 7;
