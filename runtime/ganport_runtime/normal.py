"""Box and Muller's transform (1958), from pairs of 32-bit words to pairs of normal numbers, alike on every machine.

With u = (word + 1/2) / 2^32, two words make sqrt(-2 ln u1) cos(2 pi u2) and sqrt(-2 ln u1) sin(2 pi u2).

numpy's own log, sin and cos round differently from one processor to the next. Here they are polynomials made of
additions, multiplications, divisions and square roots of float64 alone, which IEEE 754 rounds in one way only, each
its own numpy call, so that no compiler can fuse two into one rounding. Their error is below 1e-11 of the value, far
under float32's rounding.
"""

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.philox import LOW

__all__ = ["BoxMuller"]

SMALL = 256  # pairs up to which constants are spread out, as numpy takes equal shapes three times faster

# Chebyshev fits (mpmath.chebyfit, 40 digits) in the square of the argument, highest power first:
# -4 atanh(s) / s for s up to (sqrt(2) - 1) / (sqrt(2) + 1), then -cos(2 pi v) / (1/16 - v^2) and
# -sin(2 pi v) / (v (1/4 - v^2)) for v up to 1/2. The zeros divided out are multiplied in again exactly, so that the
# relative error stays small beside them too.
COEFFICIENTS = np.array(
    [
        [-0.2961942072131055, 0.24574572357211827, 0.09017178396709614],
        [-0.3062505629672838, -1.6833741610966308, -0.6883658123820553],
        [-0.36367263360458657, 7.794645527703591, 3.64582318202742],
        [-0.44444394113453096, -25.938584048228826, -14.182846042099465],
        [-0.5714285752128336, 58.62343828388291, 38.51294846795538],
        [-0.7999999999860468, -81.79285035177536, -67.07762070296118],
        [-1.333333333333353, 59.82734082709189, 64.83584404417527],
        [-4.0, -15.999999999984832, -25.132741228713364],
    ]
)
ZEROS = np.array([[0.25], [0.5]])  # of cos(2 pi v) and sin(2 pi v)

# 0-d arrays: numpy takes them faster than Python's numbers.
MAGIC_BITS = 0x43300000  # the upper half of the float64 2^52 + w, whose lower half is the integer w itself
MAGIC = np.array(2.0**52 - 0.5)
TO_UNIT = np.array(2.0**-32)
HALF = np.array(0.5)
ONE = np.array(1.0)
ROOT_HALF_BITS = np.array(0x3FE6A09E667F3BCD, np.int64)  # of the float64 sqrt(1/2)
MANTISSA_BITS = np.array(52, np.int64)
MANTISSA = np.array(2**52 - 1, np.int64)
MINUS_TWO_LN_2 = np.array(-1.3862943611198906)


class BoxMuller:
    """Transforms `size` pairs at a time, in buffers of its own: for one thread only.

    Attributes:
        first: uint32 [size], to be set: the words that give u1.
        second: uint32 [size], to be set: the words that give u2.
        radius: float64 [size], sqrt(-2 ln u1) after `run`.
        waves: float64 [2, size], cos and sin of 2 pi u2 after `run`.
    """

    def __init__(self, size: int) -> None:
        words = np.full(4 * size, MAGIC_BITS, np.uint32)
        low = words[LOW::2]
        self.first, self.second = low[:size], low[size:]
        self.radius = np.zeros(size)
        self.waves = np.zeros((2, size))
        self._words = words.view(np.float64)
        self._unit = np.zeros((2, size))
        self._bits = np.zeros(size, np.int64)
        self._exponent = np.zeros(size, np.int64)
        self._mantissa = self._bits.view(np.float64)
        self._arguments = np.zeros((3, size))  # s, v, v
        self._squares = np.zeros((3, size))
        self._values = np.zeros((3, size))
        self._other = np.zeros((2, size))
        self._coefficients = [_spread(row[:, None], (3, size)) for row in COEFFICIENTS]
        self._zeros = _spread(ZEROS, (2, size))

    def run(self) -> None:
        """Set `radius` and `waves` from the words."""
        unit, arguments, values = self._unit, self._arguments, self._values
        np.subtract(self._words, MAGIC, unit.reshape(-1))
        np.multiply(unit, TO_UNIT, unit)
        self._reduce_logarithm(unit[0], arguments[0])
        np.subtract(unit[1], HALF, arguments[1])  # v = u2 - 1/2: cos and sin of 2 pi u2 change sign
        np.copyto(arguments[2], arguments[1])
        self._polynomials()
        np.multiply(arguments[0], values[0], values[0])
        np.add(self.radius, values[0], self.radius)
        np.sqrt(self.radius, self.radius)
        self._multiply_zeros(arguments[1:], values[1:])

    def _reduce_logarithm(self, unit: NDArray[np.float64], s: NDArray[np.float64]) -> None:
        """Split u into m 2^e with m in [sqrt(1/2), sqrt(2)): s = (m - 1) / (m + 1), and -2 ln 2 e into `radius`."""
        bits, mantissa = self._bits, self._mantissa
        np.subtract(unit.view(np.int64), ROOT_HALF_BITS, bits)
        np.right_shift(bits, MANTISSA_BITS, self._exponent)
        np.bitwise_and(bits, MANTISSA, bits)
        np.add(bits, ROOT_HALF_BITS, bits)
        np.multiply(self._exponent, MINUS_TWO_LN_2, self.radius)
        np.subtract(mantissa, ONE, s)
        np.add(mantissa, ONE, mantissa)
        np.divide(s, mantissa, s)

    def _polynomials(self) -> None:
        """Horner's rule on all three at once."""
        squares, values = self._squares, self._values
        np.multiply(self._arguments, self._arguments, squares)
        np.multiply(squares, self._coefficients[0], values)
        for coefficient in self._coefficients[1:-1]:
            np.add(values, coefficient, values)
            np.multiply(values, squares, values)
        np.add(values, self._coefficients[-1], values)

    def _multiply_zeros(self, v: NDArray[np.float64], quotients: NDArray[np.float64]) -> None:
        """Multiply the zeros of cos and sin in again: 1/16 - v^2 and v (1/4 - v^2), as products of exact factors."""
        waves, other = self.waves, self._other
        np.subtract(self._zeros, v, waves)
        np.add(self._zeros, v, other)
        np.multiply(waves, other, waves)
        np.multiply(waves, quotients, waves)
        np.multiply(waves[1], v[1], waves[1])


def _spread(constant: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    view = np.broadcast_to(constant, shape)
    return view.copy() if shape[1] <= SMALL else view
