// Layer norm and root mean square norm along contiguous rows.
#include "numbers.cuh"
#include "factors.cuh"

// What a thread has of a row: its packs, read once and kept, or of a long row read again each time.
template <class T, int N, int most, bool kept>
struct Row {
    const T* start;
    Pack<T, N> packs[kept ? most : 1];

    __device__ Row(const T* start, long long columns) : start(start) {
        if constexpr (kept) {
#pragma unroll
            for (int k = 0; k < most; ++k) {
                const long long i = (threadIdx.x + k * blockDim.x) * N;
                if (i < columns) packs[k] = read(i);
            }
        }
    }
    __device__ Pack<T, N> read(long long i) const { return *reinterpret_cast<const Pack<T, N>*>(start + i); }
    __device__ Pack<T, N> at(int k, long long i) const {
        if constexpr (kept) return packs[k];
        return read(i);
    }
};

// Calls use(k, i) for each of the thread's packs: its number, if it is kept, and the column where it begins.
template <int N, int most, bool kept, class Use>
__device__ void each_pack(long long columns, Use use) {
    if constexpr (kept) {
#pragma unroll
        for (int k = 0; k < most; ++k) {
            const long long i = (threadIdx.x + k * blockDim.x) * N;
            if (i < columns) use(k, i);
        }
    } else {
        for (long long i = threadIdx.x * N; i < columns; i += blockDim.x * N) use(0, i);
    }
}

// As reduce_row, for several sums at once.
template <class W, int count>
__device__ void sum_row(W (&sums)[count]) {
#pragma unroll
    for (int k = 0; k < count; ++k) sums[k] = reduce_warp(sums[k], Sum());
    if (blockDim.x == 32) return;
    __shared__ W of_warps[count][32];
    __syncthreads();  // those before may still be read
    if (threadIdx.x % 32 == 0)
        for (int k = 0; k < count; ++k) of_warps[k][threadIdx.x / 32] = sums[k];
    __syncthreads();
    for (int k = 0; k < count; ++k) {
        sums[k] = of_warps[k][0];
        for (int warp = 1; warp < blockDim.x / 32; ++warp) sums[k] += of_warps[k][warp];
    }
}

template <class T, int N, int most, bool kept>
__device__ wide_t<T> mean_of(const Row<T, N, most, kept>& x, long long columns) {
    wide_t<T> sum = 0;
    each_pack<N, most, kept>(columns, [&](int k, long long i) {
        const Pack<T, N> xs = x.at(k, i);
#pragma unroll
        for (int n = 0; n < N; ++n) sum += widen(xs.values[n]);
    });
    return reduce_row(sum, Sum()) / columns;
}

template <class T, int N, bool centred, bool kept>
__device__ void normalize_row(const T* row, const void* weight, const void* bias, T* y, long long columns, long long wide, double eps) {
    using W = wide_t<T>;
    constexpr int most = 4;
    const Row<T, N, most, kept> x(row, columns);
    const W mean = centred ? mean_of(x, columns) : (W)0;
    W squares = 0;
    each_pack<N, most, kept>(columns, [&](int k, long long i) {
        const Pack<T, N> xs = x.at(k, i);
#pragma unroll
        for (int n = 0; n < N; ++n) {
            const W apart = widen(xs.values[n]) - mean;
            squares += apart * apart;
        }
    });
    const W scale = 1 / sqrt(reduce_row(squares, Sum()) / columns + (W)eps);
    each_pack<N, most, kept>(columns, [&](int k, long long i) {
        Pack<T, N> xs = x.at(k, i);
        W weights[N], biases[N];
        read_factors<T, N>(weight, wide, i, 1, weights);
        read_factors<T, N>(bias, wide, i, 0, biases);
#pragma unroll
        for (int n = 0; n < N; ++n)
            xs.values[n] = narrow<T>((widen(xs.values[n]) - mean) * scale * weights[n] + biases[n]);
        *reinterpret_cast<Pack<T, N>*>(y + i) = xs;
    });
}

template <class T, int N, bool centred>
__device__ void normalize(const T* x, const void* weight, const void* bias, T* y, long long rows, long long columns, long long wide,
                          double eps) {
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;  // all threads of a row leave together
    if (columns <= 4ll * N * blockDim.x) {
        normalize_row<T, N, centred, true>(x + row * columns, weight, bias, y + row * columns, columns, wide, eps);
    } else {
        normalize_row<T, N, centred, false>(x + row * columns, weight, bias, y + row * columns, columns, wide, eps);
    }
}

template <class T, int N>
__global__ void __launch_bounds__(1024) layer_norm(const T* x, const void* weight, const void* bias, T* y, long long rows,
                                                   long long columns, long long wide, double eps) {
    normalize<T, N, true>(x, weight, bias, y, rows, columns, wide, eps);
}

template <class T, int N>
__global__ void __launch_bounds__(1024) rms_norm(const T* x, const void* weight, const void* bias, T* y, long long rows,
                                                 long long columns, long long wide, double eps) {
    normalize<T, N, false>(x, weight, bias, y, rows, columns, wide, eps);
}

// How many packs of g and of x a thread keeps on the way back, beside the sums for their columns; see layer_norm.py.
template <class T, int N>
__device__ constexpr int most_kept() {
    return sizeof(T) == 2 && N > 1 ? 4 : 8;
}

// The gradients of the rows that a block has, one after another, and their sums for weight and bias. These are kept in
// registers until the last row and then joined; of long rows they stand in the block's part of `parts` from the first.
template <class T, int N, bool centred, bool kept>
__device__ void pull_rows(const T* g, const T* x, const void* weight, T* gx, wide_t<T>* parts, long long rows, long long columns,
                          long long wide, double eps) {
    using W = wide_t<T>;
    constexpr int most = most_kept<T, N>(), sums = kept ? most : 1;
    W of_weight[sums][N] = {}, of_bias[sums][N] = {};
    W* const part = parts + blockIdx.x * (centred ? 2 : 1) * columns;
    bool is_first = true;
    const long long rows_at_once = (long long)gridDim.x * blockDim.y;
    for (long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y; row < rows; row += rows_at_once, is_first = false) {
        const Row<T, N, most, kept> of_y(g + row * columns, columns), values(x + row * columns, columns);
        const W mean = centred ? mean_of(values, columns) : (W)0;
        W totals[3] = {};  // of squared deviations, of gradients and of gradients times deviations
        each_pack<N, most, kept>(columns, [&](int k, long long i) {
            const Pack<T, N> gs = of_y.at(k, i), xs = values.at(k, i);
            W weights[N];
            read_factors<T, N>(weight, wide, i, 1, weights);
#pragma unroll
            for (int n = 0; n < N; ++n) {
                const W apart = widen(xs.values[n]) - mean, of_unit = widen(gs.values[n]) * weights[n];
                totals[0] += apart * apart;
                totals[1] += of_unit;
                totals[2] += of_unit * apart;
            }
        });
        sum_row(totals);
        const W scale = 1 / sqrt(totals[0] / columns + (W)eps);
        const W along_one = centred ? totals[1] / columns : (W)0, along_unit = totals[2] * scale / columns;
        each_pack<N, most, kept>(columns, [&](int k, long long i) {
            const Pack<T, N> gs = of_y.at(k, i), xs = values.at(k, i);
            W weights[N];
            read_factors<T, N>(weight, wide, i, 1, weights);
            Pack<T, N> pack;
#pragma unroll
            for (int n = 0; n < N; ++n) {
                const W of_result = widen(gs.values[n]), unit = (widen(xs.values[n]) - mean) * scale;
                pack.values[n] = narrow<T>(scale * (of_result * weights[n] - along_one - unit * along_unit));
                if constexpr (kept) {
                    of_weight[k][n] += of_result * unit;
                    if (centred) of_bias[k][n] += of_result;
                } else {
                    part[i + n] = (is_first ? (W)0 : part[i + n]) + of_result * unit;
                    if (centred) part[columns + i + n] = (is_first ? (W)0 : part[columns + i + n]) + of_result;
                }
            }
            *reinterpret_cast<Pack<T, N>*>(gx + row * columns + i) = pack;
        });
    }
    if constexpr (kept) {
        if (blockDim.y == 1) {
            each_pack<N, most, kept>(columns, [&](int k, long long i) {
#pragma unroll
                for (int n = 0; n < N; ++n) {
                    part[i + n] = of_weight[k][n];
                    if (centred) part[columns + i + n] = of_bias[k][n];
                }
            });
            return;
        }
        __shared__ W joined[2][32 * most * N];  // of the rows that are side by side, always in the same order
        for (int y = 0; y < blockDim.y; ++y) {
            if (threadIdx.y == y)
                each_pack<N, most, kept>(columns, [&](int k, long long i) {
#pragma unroll
                    for (int n = 0; n < N; ++n) {
                        joined[0][i + n] = y ? joined[0][i + n] + of_weight[k][n] : of_weight[k][n];
                        joined[1][i + n] = y ? joined[1][i + n] + of_bias[k][n] : of_bias[k][n];
                    }
                });
            __syncthreads();
        }
        for (long long i = threadIdx.x + threadIdx.y * blockDim.x; i < columns; i += blockDim.x * blockDim.y) {
            part[i] = joined[0][i];
            if (centred) part[columns + i] = joined[1][i];
        }
    }
}

template <class T, int N, bool centred>
__device__ void pull(const T* g, const T* x, const void* weight, T* gx, wide_t<T>* parts, long long rows, long long columns,
                     long long wide, double eps) {
    if (columns <= (long long)most_kept<T, N>() * N * blockDim.x) {
        pull_rows<T, N, centred, true>(g, x, weight, gx, parts, rows, columns, wide, eps);
    } else {
        pull_rows<T, N, centred, false>(g, x, weight, gx, parts, rows, columns, wide, eps);
    }
}

template <class T, int N>
__global__ void __launch_bounds__(256) layer_norm_vjp(const T* g, const T* x, const void* weight, T* gx, wide_t<T>* parts,
                                                      long long rows, long long columns, long long wide, double eps) {
    pull<T, N, true>(g, x, weight, gx, parts, rows, columns, wide, eps);
}

template <class T, int N>
__global__ void __launch_bounds__(256) rms_norm_vjp(const T* g, const T* x, const void* weight, T* gx, wide_t<T>* parts,
                                                    long long rows, long long columns, long long wide, double eps) {
    pull<T, N, false>(g, x, weight, gx, parts, rows, columns, wide, eps);
}
