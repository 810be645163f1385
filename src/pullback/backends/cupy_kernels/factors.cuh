// Weights and biases, one for each column of an array of T, and their gradients. They are in T themselves or, where
// `wide` says so, in wide_t<T>: half precision may have weights in float.

// Those of N neighbouring columns; where there are none, a number that changes nothing.
template <class T, int N>
__device__ void read_factors(const void* factors, long long wide, long long column, wide_t<T> otherwise, wide_t<T> (&values)[N]) {
    using W = wide_t<T>;
    constexpr int L = N * sizeof(W) > 16 ? 16 / sizeof(W) : N;  // of which 16 bytes are
    const bool aligned = is_aligned(factors);
    if (!factors) {
#pragma unroll
        for (int k = 0; k < N; ++k) values[k] = otherwise;
    } else if (wide) {
        const W* from = static_cast<const W*>(factors) + column;
        if (aligned) {
#pragma unroll
            for (int k = 0; k < N; k += L) {
                const Pack<W, L> pack = *reinterpret_cast<const Pack<W, L>*>(from + k);
#pragma unroll
                for (int l = 0; l < L; ++l) values[k + l] = pack.values[l];
            }
        } else {
#pragma unroll
            for (int k = 0; k < N; ++k) values[k] = from[k];
        }
    } else {
        const T* from = static_cast<const T*>(factors) + column;
        if (aligned) {
            const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(from);
#pragma unroll
            for (int k = 0; k < N; ++k) values[k] = widen(pack.values[k]);
        } else {
#pragma unroll
            for (int k = 0; k < N; ++k) values[k] = widen(from[k]);
        }
    }
}

template <class T>
__device__ wide_t<T> read_factor(const void* factors, long long wide, long long column, wide_t<T> otherwise) {
    wide_t<T> values[1];
    read_factors<T, 1>(factors, wide, column, otherwise, values);
    return values[0];
}

template <class T>
__device__ void write_factor(void* factors, long long wide, long long column, wide_t<T> value) {
    if (wide) {
        static_cast<wide_t<T>*>(factors)[column] = value;
    } else {
        static_cast<T*>(factors)[column] = narrow<T>(value);
    }
}

// The sums of parts, each a row of `columns` numbers for `first` and, where that is given, as many for `second`. Always
// in the same order. A block of 32 times 32 threads has 32 columns.
template <class T, int N>
__global__ void __launch_bounds__(1024) sum_parts(const wide_t<T>* parts, void* first, void* second, long long count, long long columns, long long wide) {
    __shared__ wide_t<T> sums[32][33];
    const long long width = second ? 2 * columns : columns, column = blockIdx.x * 32ll + threadIdx.x;
    wide_t<T> sum = 0;
    if (column < width)
        for (long long part = threadIdx.y; part < count; part += 32) sum += parts[part * width + column];
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || column >= width) return;
    for (int k = 1; k < 32; ++k) sum += sums[k][threadIdx.x];
    if (column < columns) {
        write_factor<T>(first, wide, column, sum);
    } else {
        write_factor<T>(second, wide, column - columns, sum);
    }
}
