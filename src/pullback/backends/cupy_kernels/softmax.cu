// Softmax and its logarithm along contiguous rows of T. They are given in R: T itself, or the type that is calculated in.
#include "numbers.cuh"

// The greatest number of a row, and the sum of the exponentials of what the others lie below it, in one pass.
template <class T, int N>
__device__ void scan_row(const T* x, long long columns, wide_t<T>& greatest, wide_t<T>& total) {
    using W = wide_t<T>;
    W most = -INFINITY, sum = 0;
    for (long long i = threadIdx.x * N; i < columns; i += blockDim.x * N) {
        const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(x + i);
        W here = widen(pack.values[0]);
#pragma unroll
        for (int k = 1; k < N; ++k) here = Maximum()(here, (W)widen(pack.values[k]));
        const W now = Maximum()(most, here);
        if (now == -INFINITY) continue;  // nothing yet that is above 0
        sum *= exp(most - now);
#pragma unroll
        for (int k = 0; k < N; ++k) sum += exp((W)widen(pack.values[k]) - now);
        most = now;
    }
    greatest = reduce_row(most, Maximum());
    total = reduce_row(most == -INFINITY ? (W)0 : sum * exp(most - greatest), Sum());
}

template <class T, class R, int N, bool logarithm>
__device__ void normalize_rows(const T* x, R* y, long long rows, long long columns) {
    using W = wide_t<T>;
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;  // all threads of a row leave together
    x += row * columns;
    y += row * columns;
    W greatest, total;
    scan_row<T, N>(x, columns, greatest, total);
    const W factor = 1 / total, shift = greatest + log(total);
    for (long long i = threadIdx.x * N; i < columns; i += blockDim.x * N) {
        const Pack<T, N> xs = *reinterpret_cast<const Pack<T, N>*>(x + i);
        Pack<R, N> ys;
#pragma unroll
        for (int k = 0; k < N; ++k) {
            const W value = widen(xs.values[k]);
            ys.values[k] = narrow<R>(logarithm ? value - shift : exp(value - greatest) * factor);
        }
        *reinterpret_cast<Pack<R, N>*>(y + i) = ys;
    }
}

template <class T, class R, int N>
__global__ void __launch_bounds__(1024) softmax(const T* x, R* y, long long rows, long long columns) {
    normalize_rows<T, R, N, false>(x, y, rows, columns);
}

template <class T, class R, int N>
__global__ void __launch_bounds__(1024) log_softmax(const T* x, R* y, long long rows, long long columns) {
    normalize_rows<T, R, N, true>(x, y, rows, columns);
}

template <class T, class R, int N, bool logarithm>
__device__ void pull_rows(const R* g, const R* y, T* gx, long long rows, long long columns) {
    using W = wide_t<T>;
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    g += row * columns;
    y += row * columns;
    gx += row * columns;
    W sum = 0;
    for (long long i = threadIdx.x * N; i < columns; i += blockDim.x * N) {
        const Pack<R, N> gs = *reinterpret_cast<const Pack<R, N>*>(g + i);
        const Pack<R, N> ys = *reinterpret_cast<const Pack<R, N>*>(y + i);
#pragma unroll
        for (int k = 0; k < N; ++k) sum += logarithm ? (W)widen(gs.values[k]) : widen(gs.values[k]) * widen(ys.values[k]);
    }
    sum = reduce_row(sum, Sum());
    for (long long i = threadIdx.x * N; i < columns; i += blockDim.x * N) {
        const Pack<R, N> gs = *reinterpret_cast<const Pack<R, N>*>(g + i);
        const Pack<R, N> ys = *reinterpret_cast<const Pack<R, N>*>(y + i);
        Pack<T, N> slopes;
#pragma unroll
        for (int k = 0; k < N; ++k) {
            const W of_output = widen(gs.values[k]), value = widen(ys.values[k]);
            slopes.values[k] = narrow<T>(logarithm ? of_output - exp(value) * sum : value * (of_output - sum));
        }
        *reinterpret_cast<Pack<T, N>*>(gx + i) = slopes;
    }
}

template <class T, class R, int N>
__global__ void __launch_bounds__(1024) softmax_vjp(const R* g, const R* y, T* gx, long long rows, long long columns) {
    pull_rows<T, R, N, false>(g, y, gx, rows, columns);
}

template <class T, class R, int N>
__global__ void __launch_bounds__(1024) log_softmax_vjp(const R* g, const R* y, T* gx, long long rows, long long columns) {
    pull_rows<T, R, N, true>(g, y, gx, rows, columns);
}
