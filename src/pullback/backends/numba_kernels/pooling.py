"""Pooling and resampling, compiled.

Images are rows of channels, (N * lengths, C), of three lengths each; `places1` to `places3` say for each position
along a result's axis where its taps are along the image's.
"""

from typing import Any

from .compiling import compiled

__all__ = ["combine", "greatest", "greatest_of_few", "put_back"]


@compiled
def greatest(
    start: int, stop: int, x: Any, lengths: Any, places1: Any, places2: Any, places3: Any, y: Any, numbers: Any
) -> None:  # fmt: skip
    """For the images and the first axis joined: the greatest of each window, and the number of the tap it is at."""
    count1, count2, count3 = places1.shape[0], places2.shape[0], places3.shape[0]
    for line in range(start, stop):
        b, i = line // count1, line % count1
        for j in range(count2):
            for k in range(count3):
                here = (line * count2 + j) * count3 + k
                tap = 0
                for p in range(places1.shape[1]):
                    for q in range(places2.shape[1]):
                        for r in range(places3.shape[1]):
                            row = (b * lengths[0] + places1[i, p]) * lengths[1] + places2[j, q]
                            row = row * lengths[2] + places3[k, r]
                            number = numbers.dtype.type(tap)
                            for c in range(x.shape[1]):
                                found = x[row, c]
                                better = (tap == 0) | (found > y[here, c]) | (found != found)
                                y[here, c] = found if better else y[here, c]
                                numbers[here, c] = number if better else numbers[here, c]
                            tap += 1


@compiled
def greatest_of_few(
    start: int, stop: int, x: Any, lengths: Any, places1: Any, places2: Any, places3: Any, y: Any, numbers: Any
) -> None:  # fmt: skip
    """As `greatest`, one channel after the other."""
    count1, count2, count3 = places1.shape[0], places2.shape[0], places3.shape[0]
    for line in range(start, stop):
        b, i = line // count1, line % count1
        for j in range(count2):
            for k in range(count3):
                here = (line * count2 + j) * count3 + k
                for c in range(x.shape[1]):
                    first = (b * lengths[0] + places1[i, 0]) * lengths[1] + places2[j, 0]
                    best, number, tap = x[first * lengths[2] + places3[k, 0], c], 0, 0
                    for p in range(places1.shape[1]):
                        for q in range(places2.shape[1]):
                            row = ((b * lengths[0] + places1[i, p]) * lengths[1] + places2[j, q]) * lengths[2]
                            for r in range(places3.shape[1]):
                                found = x[row + places3[k, r], c]
                                if (found > best) | (found != found):
                                    best, number = found, tap
                                tap += 1
                    y[here, c] = best
                    numbers[here, c] = number


@compiled
def put_back(
    start: int, stop: int, g: Any, numbers: Any, lengths: Any, places1: Any, places2: Any, places3: Any, x: Any
) -> None:  # fmt: skip
    """For each image: zeros, and the gradient of each window added at the tap of that number."""
    count1, count2, count3 = places1.shape[0], places2.shape[0], places3.shape[0]
    size = lengths[0] * lengths[1] * lengths[2]
    zero = x.dtype.type(0)
    for b in range(start, stop):
        x[b * size : (b + 1) * size] = 0
        for i in range(count1):
            for j in range(count2):
                for k in range(count3):
                    here = ((b * count1 + i) * count2 + j) * count3 + k
                    tap = 0
                    for p in range(places1.shape[1]):
                        for q in range(places2.shape[1]):
                            for r in range(places3.shape[1]):
                                row = (b * lengths[0] + places1[i, p]) * lengths[1] + places2[j, q]
                                row = row * lengths[2] + places3[k, r]
                                number = numbers.dtype.type(tap)
                                for c in range(x.shape[1]):
                                    x[row, c] += g[here, c] if numbers[here, c] == number else zero
                                tap += 1


@compiled
def combine(
    start: int, stop: int, x: Any, lengths: Any, places1: Any, places2: Any, places3: Any, weights1: Any, weights2: Any,
    weights3: Any, y: Any,
) -> None:  # fmt: skip
    """For the images and the first axis joined: the sum of each position's taps with their weights."""
    count1, count2, count3 = places1.shape[0], places2.shape[0], places3.shape[0]
    for line in range(start, stop):
        b, i = line // count1, line % count1
        for j in range(count2):
            for k in range(count3):
                here = (line * count2 + j) * count3 + k
                first = True
                for p in range(places1.shape[1]):
                    for q in range(places2.shape[1]):
                        for r in range(places3.shape[1]):
                            weight = weights1[i, p] * weights2[j, q] * weights3[k, r]
                            row = (b * lengths[0] + places1[i, p]) * lengths[1] + places2[j, q]
                            row = row * lengths[2] + places3[k, r]
                            if first:
                                for c in range(x.shape[1]):
                                    y[here, c] = weight * x[row, c]
                            elif weight != 0:
                                for c in range(x.shape[1]):
                                    y[here, c] += weight * x[row, c]
                            first = False
