"""Functions for kernels that the compiler vectorizes, of float32; of float64 they are those of the C library.

NaN stays NaN.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

Function = Callable[[Any], Any]


def _float32(*coefficients: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(coefficient) for coefficient in coefficients)


# tanh x = x P(x^2) / Q(x^2), within 4e-7 (Eigen's minimax fit); beyond EDGE it is 1 or -1.
EDGE = np.float32(7.90531110763549805)
P = _float32(
    *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08),
    *(1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03),
)
Q = _float32(1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
# e^x = 2^k e^r with |r| < ln(2) / 2, e^r = 1 + r + r^2 R(r) (Cephes); below LOWEST it is no normal number.
LOWEST, LOG2_E, LN_2 = _float32(-87.0, 1.44269504088896341, 0.69314718055994531)
R = _float32(
    *(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
)
ONE, HALF = _float32(1.0, 0.5)
BIAS, FRACTION_BITS = np.int32(127), np.int32(23)  # of a float32's exponent, and below it


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return math.tanh(x)


def exp_of_negative(x: Any) -> Any:
    """e^x of x <= 0, of float32 within 3e-6."""
    return math.exp(x)


@overload(tanh)
def _tanh(x: Any) -> Function:
    def by_c_library(x: Any) -> Any:
        return math.tanh(x)

    def rational(x: Any) -> Any:
        x = EDGE if x > EDGE else x
        x = -EDGE if x < -EDGE else x
        s = x * x
        p = (((((P[0] * s + P[1]) * s + P[2]) * s + P[3]) * s + P[4]) * s + P[5]) * s + P[6]
        q = ((Q[0] * s + Q[1]) * s + Q[2]) * s + Q[3]
        return x * p / q

    return rational if x == types.float32 else by_c_library


@overload(exp_of_negative)
def _exp_of_negative(x: Any) -> Function:
    def by_c_library(x: Any) -> Any:
        return math.exp(x)

    def polynomial(x: Any) -> Any:
        x = LOWEST if x < LOWEST else x
        k = np.floor(x * LOG2_E + HALF)
        r = x - k * LN_2
        higher = ((((R[0] * r + R[1]) * r + R[2]) * r + R[3]) * r + R[4]) * r + R[5]
        return (higher * r * r + r + ONE) * np.int32((np.int32(k) + BIAS) << FRACTION_BITS).view(np.float32)

    return polynomial if x == types.float32 else by_c_library
