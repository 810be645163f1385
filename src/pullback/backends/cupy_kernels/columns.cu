// What goes along the columns of contiguous rows: a number added to each, and their sums.
#include "numbers.cuh"

// A block takes 32 N columns and some rows; `blockDim.y` rows at once. Rows are shared out among `gridDim.x` / tiles.
template <int N>
__device__ inline long long tiles_of(long long columns) {
    return (columns + 32 * N - 1) / (32 * N);
}

// y + bias, and with relu its negative numbers 0; NaN stays. Without a bias there is none to add.
template <class T, int N>
__global__ void add_bias(T* y, const T* bias, long long rows, long long columns, long long rows_each, long long relu) {
    using W = wide_t<T>;
    const long long tiles = tiles_of<N>(columns);
    const long long column = blockIdx.x % tiles * (32 * N) + threadIdx.x * N;
    if (column >= columns) return;
    W shift[N];
#pragma unroll
    for (int k = 0; k < N; ++k) shift[k] = 0;
    if (bias) {
        const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(bias + column);
#pragma unroll
        for (int k = 0; k < N; ++k) shift[k] = widen(pack.values[k]);
    }
    const long long first = blockIdx.x / tiles * rows_each, last = min(first + rows_each, rows);
    for (long long row = first + threadIdx.y; row < last; row += blockDim.y) {
        Pack<T, N>* place = reinterpret_cast<Pack<T, N>*>(y + row * columns + column);
        Pack<T, N> pack = *place;
#pragma unroll
        for (int k = 0; k < N; ++k) {
            const W value = widen(pack.values[k]) + shift[k];
            pack.values[k] = narrow<T>(relu && value < 0 ? (W)0 : value);
        }
        *place = pack;
    }
}

// The sums of some rows' columns: into `sums` where these are all rows, else one row of `parts` for each such block.
template <class T, int N>
__device__ void share_sums(const wide_t<T>* own, wide_t<T>* parts, T* sums, long long columns) {
    using W = wide_t<T>;
    __shared__ W shared[16][32 * N];
    const long long tiles = tiles_of<N>(columns);
#pragma unroll
    for (int k = 0; k < N; ++k) shared[threadIdx.y][threadIdx.x * N + k] = own[k];
    __syncthreads();
    for (int i = threadIdx.y * 32 + threadIdx.x; i < 32 * N; i += 32 * blockDim.y) {
        const long long column = blockIdx.x % tiles * (32 * N) + i;
        if (column >= columns) break;
        W sum = 0;
        for (int row = 0; row < blockDim.y; ++row) sum += shared[row][i];
        if (parts) parts[blockIdx.x / tiles * columns + column] = sum;
        else sums[column] = narrow<T>(sum);
    }
}

template <class T, int N>
__global__ void sum_columns(const T* x, wide_t<T>* parts, T* sums, long long rows, long long columns, long long rows_each) {
    using W = wide_t<T>;
    const long long tiles = tiles_of<N>(columns);
    const long long column = blockIdx.x % tiles * (32 * N) + threadIdx.x * N;
    const long long first = blockIdx.x / tiles * rows_each;
    const long long last = column < columns ? min(first + rows_each, rows) : 0;
    W own[N];
#pragma unroll
    for (int k = 0; k < N; ++k) own[k] = 0;
#pragma unroll 4
    for (long long row = first + threadIdx.y; row < last; row += blockDim.y) {
        const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(x + row * columns + column);
#pragma unroll
        for (int k = 0; k < N; ++k) own[k] += widen(pack.values[k]);
    }
    share_sums<T, N>(own, parts, sums, columns);
}

// The gradient g where y is positive, else 0; and the sums of its columns, unless neither `parts` nor `sums` is there.
template <class T, int N>
__global__ void relu_vjp_and_sums(const T* g, const T* y, T* gx, wide_t<T>* parts, T* sums, long long rows,
                                  long long columns, long long rows_each) {
    using W = wide_t<T>;
    const long long tiles = tiles_of<N>(columns);
    const long long column = blockIdx.x % tiles * (32 * N) + threadIdx.x * N;
    const long long first = blockIdx.x / tiles * rows_each;
    const long long last = column < columns ? min(first + rows_each, rows) : 0;
    W own[N];
#pragma unroll
    for (int k = 0; k < N; ++k) own[k] = 0;
#pragma unroll 4
    for (long long row = first + threadIdx.y; row < last; row += blockDim.y) {
        const long long at = row * columns + column;
        Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(g + at);
        const Pack<T, N> of_y = *reinterpret_cast<const Pack<T, N>*>(y + at);
#pragma unroll
        for (int k = 0; k < N; ++k) {
            if (!(widen(of_y.values[k]) > 0)) pack.values[k] = narrow<T>(0);
            own[k] += widen(pack.values[k]);
        }
        *reinterpret_cast<Pack<T, N>*>(gx + at) = pack;
    }
    if (parts || sums) share_sums<T, N>(own, parts, sums, columns);
}

// Whether y is positive, in bits: each byte has 8 columns, the first in its lowest bit; behind the last are zeros.
template <class T, int N>
__global__ void positive_bits(const T* y, unsigned char* bits, long long rows, long long columns, long long bytes) {
    const long long i = (long long)blockIdx.x * blockDim.x * blockDim.y + threadIdx.y * blockDim.x + threadIdx.x;
    if (i >= rows * bytes) return;
    const long long row = i / bytes, first = i % bytes * 8;
    unsigned int found = 0;
#pragma unroll
    for (int begin = 0; begin < 8; begin += N) {
        if (first + begin >= columns) break;
        const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(y + row * columns + first + begin);
#pragma unroll
        for (int k = 0; k < N; ++k) found |= (unsigned int)(widen(pack.values[k]) > 0) << (begin + k);
    }
    bits[i] = (unsigned char)found;
}
