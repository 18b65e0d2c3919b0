"""Force on a bonded elastic layer (nu 0.5) over the force on a half space: the numbers in layers.test.ts.

Written apart from operators/mechanics/layer-integral.ts: the kernel is integrated anew for each pair of points, with
80 points a contact. Made with Python 3.11 and numpy 2.4.6 by: python3 layer-factor.py
"""

import numpy as np
from numpy.polynomial.legendre import leggauss

XI, WEIGHT = leggauss(400)
XI, WEIGHT = (XI + 1) * 15, WEIGHT * 15
M = (np.sinh(2 * XI) - 2 * XI) / (np.cosh(2 * XI) + 2 * XI**2 + 1)


def kernel(x):
    return (np.cos(np.multiply.outer(x, XI)) * (WEIGHT * (1 - M))).sum(-1)


def press(geometry, a, n=80):
    """chi and factor at a contact radius, in units of the thickness."""
    t, q = leggauss(n)
    t, q = (t + 1) * a / 2, q * a / 2
    equations = np.eye(n) - (kernel(t[:, None] - t) + kernel(t[:, None] + t)) * q / np.pi
    edge = (kernel(a - t) + kernel(a + t)) * q / np.pi
    flat = np.linalg.solve(equations, np.ones(n))
    if geometry == "punch":
        return a, (q @ flat) / a
    shape = (lambda r: r**2) if geometry == "sphere" else (lambda r: r * np.pi / 2)
    curved = np.linalg.solve(equations, shape(t))
    depth = (shape(a) + edge @ curved) / (1 + edge @ flat)
    force = 2 * (q @ (depth * flat - curved))
    if geometry == "sphere":
        return np.sqrt(depth), force / (4 / 3 * depth**1.5)
    return depth, force / (2 / np.pi * depth**2)


def factor(geometry, chi):
    low, high = (chi, chi) if geometry == "punch" else (1e-3, 10 * chi)
    for _ in range(60):
        middle = (low + high) / 2
        if press(geometry, middle)[0] < chi:
            low = middle
        else:
            high = middle
    return press(geometry, (low + high) / 2)[1]


for geometry in ("sphere", "cone", "punch"):
    print(geometry, [round(float(factor(geometry, chi)), 5) for chi in (0.05, 1, 2, 3)])
