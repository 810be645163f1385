// Several arrays at once: their squares summed, and all of them scaled, by one pass over each.
#include "numbers.cuh"
#include "parts.cuh"

// Sums are of double: what is finite in float has a finite sum of squares, and the order of the sum hardly shows.
template <class T>
__device__ double square(T number) {
    const double value = widen(number);
    return value * value;
}

// Of what is finite 0, of whatever size; of all else NaN.
template <class T>
__device__ wide_t<T> zero(T number) {
    return widen(number) * 0;
}

template <class T>
__global__ void sums_of_parts(const long long* parts, double* squares) {
    const Part<T> part(parts);
    constexpr int N = 16 / sizeof(T);
    const long long packs = is_aligned(part.values) ? part.count / N : 0;
    double sum = 0;
    for (long long k = threadIdx.x; k < packs; k += blockDim.x) {
        const Pack<T, N> pack = reinterpret_cast<const Pack<T, N>*>(part.values)[k];
#pragma unroll
        for (int i = 0; i < N; ++i) sum += square(pack.values[i]);
    }
    for (long long i = packs * N + threadIdx.x; i < part.count; i += blockDim.x) sum += square(part.values[i]);
    sum = reduce_row(sum, Sum());
    if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

// Into one buffer of all. The factor is on the device, or a number. squares, zeros: where the sums of each part go, of the
// results' squares and of zeros, if they are asked for: reading is what takes the time.
template <class T>
__global__ void scale_parts(const long long* parts, const T* factor, double number, T* result, double* squares,
                            double* zeros) {
    const Part<T> part(parts);
    constexpr int N = 16 / sizeof(T);
    const wide_t<T> by = widen(factor ? *factor : narrow<T>((wide_t<T>)number));
    double sum = 0;
    wide_t<T> none = 0;
    result += part.start;
    const long long packs = is_aligned(part.values) && is_aligned(result) ? part.count / N : 0;
    for (long long k = threadIdx.x; k < packs; k += blockDim.x) {
        Pack<T, N> pack = reinterpret_cast<const Pack<T, N>*>(part.values)[k];
#pragma unroll
        for (int i = 0; i < N; ++i) {
            none += zero(pack.values[i]);
            pack.values[i] = narrow<T>(widen(pack.values[i]) * by);
            sum += square(pack.values[i]);
        }
        reinterpret_cast<Pack<T, N>*>(result)[k] = pack;
    }
    for (long long i = packs * N + threadIdx.x; i < part.count; i += blockDim.x) {
        none += zero(part.values[i]);
        result[i] = narrow<T>(widen(part.values[i]) * by);
        sum += square(result[i]);
    }
    if (!squares) return;
    sum = reduce_row(sum, Sum());
    none = reduce_row(none, Sum());
    if (threadIdx.x != 0) return;
    squares[blockIdx.x] = sum;
    zeros[blockIdx.x] = none;
}

// The sums of all parts, by one block: of squares, and whether those of zeros are 0.
template <class T>
__global__ void __launch_bounds__(1024) join_sums(const double* squares, const double* zeros, long long count,
                                                  wide_t<T>* total, bool* finite) {
    double sum = 0, none = 0;
    for (long long i = threadIdx.x; i < count; i += blockDim.x) {
        sum += squares[i];
        if (zeros) none += zeros[i];
    }
    sum = reduce_row(sum, Sum());
    none = reduce_row(none, Sum());
    if (threadIdx.x != 0) return;
    *total = (wide_t<T>)sum;
    if (finite) *finite = none == 0;
}
