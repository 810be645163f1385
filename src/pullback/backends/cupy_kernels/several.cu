// Several arrays at once: their squares summed, and all of them scaled, by one pass over each.
#include "numbers.cuh"
#include "parts.cuh"

// In double: what is finite in float has a finite sum, and the order of the sum hardly shows. Zeros, instead of squares,
// sum to zero where all numbers are finite, of whatever size.
template <class T>
__device__ double term(T number, bool zeros) {
    const double value = widen(number);
    return value * (zeros ? 0 : value);
}

template <class T>
__global__ void sums_of_parts(const long long* parts, double* sums, long long zeros) {
    const Part<T> part(parts);
    constexpr int N = 16 / sizeof(T);
    const long long packs = is_aligned(part.values) ? part.count / N : 0;
    double sum = 0;
    for (long long k = threadIdx.x; k < packs; k += blockDim.x) {
        const Pack<T, N> pack = reinterpret_cast<const Pack<T, N>*>(part.values)[k];
#pragma unroll
        for (int i = 0; i < N; ++i) sum += term(pack.values[i], zeros);
    }
    for (long long i = packs * N + threadIdx.x; i < part.count; i += blockDim.x) sum += term(part.values[i], zeros);
    sum = reduce_row(sum, Sum());
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// The sum of all, or whether it is zero; one block.
template <class T>
__global__ void __launch_bounds__(1024) sum_of_parts(const double* sums, long long count, wide_t<T>* total, bool* is_zero) {
    double sum = 0;
    for (long long i = threadIdx.x; i < count; i += blockDim.x) sum += sums[i];
    sum = reduce_row(sum, Sum());
    if (threadIdx.x != 0) return;
    if (total) *total = (wide_t<T>)sum;
    if (is_zero) *is_zero = sum == 0;
}

// Into one buffer of all. The factor is on the device, or a number.
template <class T>
__global__ void scale_parts(const long long* parts, const T* factor, double number, T* result) {
    const Part<T> part(parts);
    constexpr int N = 16 / sizeof(T);
    const wide_t<T> by = widen(factor ? *factor : narrow<T>((wide_t<T>)number));
    result += part.start;
    const long long packs = is_aligned(part.values) && is_aligned(result) ? part.count / N : 0;
    for (long long k = threadIdx.x; k < packs; k += blockDim.x) {
        Pack<T, N> pack = reinterpret_cast<const Pack<T, N>*>(part.values)[k];
#pragma unroll
        for (int i = 0; i < N; ++i) pack.values[i] = narrow<T>(widen(pack.values[i]) * by);
        reinterpret_cast<Pack<T, N>*>(result)[k] = pack;
    }
    for (long long i = packs * N + threadIdx.x; i < part.count; i += blockDim.x) {
        result[i] = narrow<T>(widen(part.values[i]) * by);
    }
}
