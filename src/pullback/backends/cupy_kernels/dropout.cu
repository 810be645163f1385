// What dropout keeps, and what it sets to another value. Compiled with -fmad=false, as random.cu is.
#include "numbers.cuh"

// x * scale + shift where the mask is true, `other` elsewhere. The mask has a value for each element of x, or the same
// ones for `repeats` rows of `row` elements, row after row.
template <class T, int N>
__global__ void masked(
    const T* x, const bool* mask, T* y, long long size, long long row, long long repeats, double scale, double shift, double other) {
    using W = wide_t<T>;
    const long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * N;
    if (i >= size) return;
    const W factor = scale, added = shift, dropped = other;
    Pack<bool, N> kept;
    if (repeats == 1) {
        kept = *reinterpret_cast<const Pack<bool, N>*>(mask + i);
    } else {
#pragma unroll
        for (int k = 0; k < N; ++k) {
            const unsigned place = i + k, width = row;
            kept.values[k] = mask[place / (width * (unsigned)repeats) * width + place % width];
        }
    }
    Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(x + i);
#pragma unroll
    for (int k = 0; k < N; ++k) {
        const W scaled = (W)widen(pack.values[k]) * factor;
        pack.values[k] = narrow<T>(kept.values[k] ? (added != 0 ? scaled + added : scaled) : dropped);
    }
    *reinterpret_cast<Pack<T, N>*>(y + i) = pack;
}
