// Attention without the matrix of weights, of any numbers on any GPU; attention_tensor_cores.cu says how it goes.
//
// A block of 16 by 16 threads has a tile of 64 rows and goes along tiles of 64 others: each thread has the scores of 4 by
// 4 of these, and of the block's rows 4 by N columns of the sums. Columns beyond 16 N are another block's, which works
// out the scores anew. Products go DEPTH columns at a time through shared memory, so rows may be of any length.
#include "attention.cuh"

constexpr int SIDE = 64, DEPTH = 32, STEP = SIDE + 4, THREADS = 256;

// What the sixteen threads that share a row have, combined.
template <class W, class Combine>
__device__ W reduce_sixteen(W x, Combine combine) {
#pragma unroll
    for (int distance = 8; distance; distance >>= 1) x = combine(x, __shfl_xor_sync(0xffffffff, x, distance));
    return x;
}

// DEPTH columns of 64 rows of a matrix, each column together; zeros where the matrix has nothing.
template <class T, class W>
__device__ void fetch_columns(W* tile, const T* matrix, long long step, int first, int rows, int column, int width) {
#pragma unroll 2
    for (int i = threadIdx.x; i < SIDE * DEPTH; i += THREADS) {
        const int row = i / DEPTH, k = i % DEPTH;
        const bool is_there = first + row < rows && column + k < width;
        tile[k * STEP + row] = is_there ? widen(matrix[(long long)(first + row) * step + column + k]) : 0;
    }
}

// sums = x y^T, of a thread's 4 of the 64 rows of x from `x_first` on, and 4 of those of y.
template <class T, class W>
__device__ void multiply_rows(W (&sums)[4][4], W* memory, const T* x, long long x_step, int x_first, int x_rows, const T* y,
                              long long y_step, int y_first, int y_rows, int width) {
    W *x_tile = memory, *y_tile = memory + DEPTH * STEP;
    const int left = threadIdx.x / 16 * 4, right = threadIdx.x % 16 * 4;
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[i][j] = 0;
    for (int column = 0; column < width; column += DEPTH) {
        __syncthreads();
        fetch_columns(x_tile, x, x_step, x_first, x_rows, column, width);
        fetch_columns(y_tile, y, y_step, y_first, y_rows, column, width);
        __syncthreads();
#pragma unroll 4
        for (int k = 0; k < DEPTH; ++k) {
            const Pack<W, 4> a = *reinterpret_cast<const Pack<W, 4>*>(x_tile + k * STEP + left);
            const Pack<W, 4> b = *reinterpret_cast<const Pack<W, 4>*>(y_tile + k * STEP + right);
#pragma unroll
            for (int i = 0; i < 4; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j) sums[i][j] += a.values[i] * b.values[j];
        }
    }
}

// sums += weights y, of N columns of the 64 rows of y from `y_first` on. The weights of all threads meet in shared memory.
template <class T, class W, int N>
__device__ void add_weighted(W (&sums)[4][N], W* memory, const W (&weights)[4][4], const T* y, long long y_step, int y_first,
                             int y_rows, int column, int width) {
    W *tile = memory, *all_weights = memory + 2 * DEPTH * STEP;
    const int left = threadIdx.x / 16 * 4, right = threadIdx.x % 16;
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) all_weights[(right * 4 + j) * STEP + left + i] = weights[i][j];
    for (int first = 0; first < SIDE; first += DEPTH) {
        __syncthreads();
#pragma unroll 2
        for (int i = threadIdx.x; i < DEPTH * 16 * N; i += THREADS) {
            const int row = y_first + first + i / (16 * N), at = column + i % (16 * N);
            tile[i] = row < y_rows && at < width ? widen(y[row * y_step + at]) : 0;
        }
        __syncthreads();
#pragma unroll 4
        for (int k = 0; k < DEPTH; ++k) {
            const Pack<W, 4> a = *reinterpret_cast<const Pack<W, 4>*>(all_weights + (first + k) * STEP + left);
            const Pack<W, N> b = *reinterpret_cast<const Pack<W, N>*>(tile + (k * 16 + right) * N);
#pragma unroll
            for (int i = 0; i < 4; ++i)
#pragma unroll
                for (int n = 0; n < N; ++n) sums[i][n] += a.values[i] * b.values[n];
        }
    }
}

// Writes a thread's sums times factors.
template <class T, class W, int N>
__device__ void store(const W (&sums)[4][N], const W (&factors)[4], T* matrix, long long step, int first, int rows,
                      int column, int width) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int row = first + threadIdx.x / 16 * 4 + i, at = column + threadIdx.x % 16 * N;
#pragma unroll
        for (int n = 0; n < N; ++n)
            if (row < rows && at + n < width) matrix[row * step + at + n] = narrow<T>(sums[i][n] * factors[i]);
    }
}

// Four bits for each of four queries, of the keys that dropout keeps.
template <class T>
__device__ unsigned kept_of_queries(const Call<T>& call, const Place& place, int query, int key) {
    if (!call.dropout) return 0xffff;
    unsigned kept = 0;
#pragma unroll 1  // a generator takes place
    for (int k = 0; k < 4; ++k) kept |= call.kept(place.matrix, place.matrices, query + k, key) << 4 * k;
    return kept;
}

template <class T, int N>
__global__ void __launch_bounds__(THREADS)
    attention(MATRICES(const T, query), MATRICES(const T, key), MATRICES(const T, value), MATRICES(T, y),
              wide_t<T>* logarithms, CALL_PARAMETERS) {
    using W = wide_t<T>;
    const Call<T> call THE_CALL;
    const int parts = (call.value_width + 16 * N - 1) / (16 * N), column = blockIdx.x % parts * 16 * N;
    const Place place = place_of_block(blockIdx.x / parts, gridDim.x / parts, (call.rows + SIDE - 1) / SIDE, call.heads,
                                       call.is_causal, false);
    const Matrices<const T> queries THESE(query), all_keys THESE(key), values THESE(value);
    const Matrices<T> results THESE(y);
    const T* own_query = queries.of(place.outer, place.head);
    const T* own_key = all_keys.of(place.outer, place.head / call.shared);
    const T* own_value = values.of(place.outer, place.head / call.shared);
    const void* own_mask = call.mask_of(place.outer, place.head);
    const int first = place.tile * SIDE, stop = call.keys_before(first + SIDE);
    const int first_of_thread = first + threadIdx.x / 16 * 4, right = threadIdx.x % 16 * 4;
    DYNAMIC_SHARED(W, memory);

    W sums[4][N] = {}, totals[4] = {}, tops[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    for (int at = 0; at < stop; at += SIDE) {
        W weights[4][4];
        multiply_rows(weights, memory, own_query, query_row, first, call.rows, own_key, key_row, at, call.keys, call.width);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int row = first_of_thread + i, reach = call.keys_before(row + 1);
            W most = -INFINITY;
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                W& score = weights[i][j];
                score *= call.scale;
                if (own_mask) score = call.masked(score, own_mask, row, at + right + j);
                if (at + right + j >= reach) score = -INFINITY;
                most = max(most, score);
            }
            most = max(tops[i], reduce_sixteen(most, [](W a, W b) { return max(a, b); }));
            const W base = most == -INFINITY ? 0 : most;  // nothing yet to attend to
            const W shrink = exp(tops[i] - base);
            tops[i] = most;
            totals[i] *= shrink;
#pragma unroll
            for (int n = 0; n < N; ++n) sums[i][n] *= shrink;
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                weights[i][j] = exp(weights[i][j] - base);
                totals[i] += weights[i][j];
            }
        }
        const unsigned kept = kept_of_queries(call, place, first_of_thread, at + right);
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) weights[i][j] *= kept >> (4 * i + j) & 1 ? call.growth : 0;
        add_weighted(sums, memory, weights, own_value, value_row, at, call.keys, column, call.value_width);
    }
    W factors[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const W total = reduce_sixteen(totals[i], Sum());
        factors[i] = total == 0 ? 1 : 1 / total;
        if (right == 0 && column == 0 && first_of_thread + i < call.rows)
            logarithms[place.matrix * call.rows + first_of_thread + i] = total == 0 ? INFINITY : tops[i] + log(total);
    }
    store(sums, factors, results.of(place.outer, place.head), y_row, first, call.rows, column, call.value_width);
}

// The gradients of a tile of rows: of queries, for which `first_mine` is the queries, `second_mine` the gradients of their
// averages, and met are keys and values; or of keys and values, where it is the other way round.
//
// own: of queries, the logarithms of a thread's rows and the means of their weights' gradients; logarithms, means: of all
// queries, where these are met.
template <class T, int N, bool OF_KEYS>
__device__ void pull(const Call<T>& call, Place place, int column, const Matrices<const T>& first_mine,
                     const Matrices<const T>& second_mine, const Matrices<const T>& first_met,
                     const Matrices<const T>& second_met, const wide_t<T> (&own)[2][4], const wide_t<T>* logarithms,
                     const wide_t<T>* means, const Matrices<T>& of_first, const Matrices<T>& of_second) {
    using W = wide_t<T>;
    const int rows = OF_KEYS ? call.keys : call.rows, met = OF_KEYS ? call.rows : call.keys;
    const int first = place.tile * SIDE, begin = OF_KEYS ? call.first_to_reach(first) / SIDE * SIDE : 0;
    const int stop = OF_KEYS ? met : call.keys_before(first + SIDE);
    const int head_of_keys = OF_KEYS ? place.head : place.head / call.shared;
    const int left = threadIdx.x / 16 * 4, right = threadIdx.x % 16 * 4;
    const T* first_own = first_mine.of(place.outer, place.head);
    const T* second_own = second_mine.of(place.outer, place.head);
    DYNAMIC_SHARED(W, memory);

    W sums[4][N] = {}, second_sums[4][N] = {};
    for (int turn = 0; turn < (OF_KEYS ? call.shared : 1); ++turn) {
        const int query_head = OF_KEYS ? head_of_keys * call.shared + turn : place.head;
        const int met_head = OF_KEYS ? query_head : head_of_keys;
        const T* first_other = first_met.of(place.outer, met_head);
        const T* second_other = second_met.of(place.outer, met_head);
        const void* mask = call.mask_of(place.outer, query_head);
        if (OF_KEYS) place.matrix = (long long)place.outer * call.heads + query_head;
        for (int at = begin; at < stop; at += SIDE) {
            W weights[4][4], slopes[4][4];
            multiply_rows(weights, memory, first_own, first_mine.row, first, rows, first_other, first_met.row, at, met,
                          call.width);
            multiply_rows(slopes, memory, second_own, second_mine.row, first, rows, second_other, second_met.row, at, met,
                          call.value_width);
            const unsigned kept = OF_KEYS ? kept_of_queries(call, place, at + right, first + left)
                                          : kept_of_queries(call, place, first + left, at + right);
#pragma unroll
            for (int i = 0; i < 4; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    const int mine = first + left + i, other = at + right + j;
                    const int query = OF_KEYS ? other : mine, key = OF_KEYS ? mine : other;
                    W logarithm = own[0][i], mean = own[1][i];
                    if (OF_KEYS) {
                        const long long of_all = place.matrix * call.rows + query;
                        logarithm = query < call.rows ? logarithms[of_all] : 0;
                        mean = query < call.rows ? means[of_all] : 0;
                    }
                    W score = weights[i][j] * call.scale;
                    if (mask) score = call.masked(score, mask, query, key);
                    if (query >= call.rows || key >= call.keys_before(query + 1)) score = -INFINITY;
                    const W weight = exp(score - logarithm);
                    const W factor = kept >> (OF_KEYS ? 4 * j + i : 4 * i + j) & 1 ? call.growth : 0;
                    slopes[i][j] = weight * (slopes[i][j] * factor - mean);
                    weights[i][j] = weight * factor;
                }
            add_weighted(sums, memory, slopes, first_other, first_met.row, at, met, column, call.width);
            if (OF_KEYS)
                add_weighted(second_sums, memory, weights, second_other, second_met.row, at, met, column,
                             call.value_width);
        }
    }
    const W scales[4] = {call.scale, call.scale, call.scale, call.scale}, ones[4] = {1, 1, 1, 1};
    store(sums, scales, of_first.of(place.outer, place.head), of_first.row, first, rows, column, call.width);
    if (OF_KEYS)
        store(second_sums, ones, of_second.of(place.outer, place.head), of_second.row, first, rows, column, call.value_width);
}

// The gradient of the queries; and what each row's gradients of its weights are on average, which that of the keys needs.
template <class T, int N>
__global__ void __launch_bounds__(THREADS)
    attention_queries_vjp(MATRICES(const T, query), MATRICES(const T, key), MATRICES(const T, value), MATRICES(const T, g),
                          MATRICES(const T, y), const wide_t<T>* g_logarithms, const wide_t<T>* logarithms, wide_t<T>* means,
                          MATRICES(T, of_query), CALL_PARAMETERS) {
    using W = wide_t<T>;
    const Call<T> call THE_CALL;
    const int parts = (call.width + 16 * N - 1) / (16 * N), column = blockIdx.x % parts * 16 * N;
    const Place place = place_of_block(blockIdx.x / parts, gridDim.x / parts, (call.rows + SIDE - 1) / SIDE, call.heads,
                                       call.is_causal, false);
    const Matrices<const T> of_averages THESE(g), averages THESE(y);
    W own[2][4] = {};
    for (int i = 0; i < 4; ++i) {
        const int row = place.tile * SIDE + threadIdx.x / 16 * 4 + i;
        const T* of_average = of_averages.of(place.outer, place.head) + row * g_row;
        const T* average = averages.of(place.outer, place.head) + row * y_row;
        W mean = 0;
        if (row < call.rows)
            for (int d = threadIdx.x % 16; d < call.value_width; d += 16) mean += widen(of_average[d]) * widen(average[d]);
        mean = reduce_sixteen(mean, Sum());
        if (row < call.rows) {
            const long long of_all = place.matrix * call.rows + row;
            if (g_logarithms) mean -= g_logarithms[of_all];
            if (threadIdx.x % 16 == 0 && column == 0) means[of_all] = mean;
            own[0][i] = logarithms[of_all];
            own[1][i] = mean;
        }
    }
    const Matrices<T> none{};
    pull<T, N, false>(call, place, column, THESE(query), of_averages, THESE(key), THESE(value), own, nullptr, nullptr,
                      THESE(of_query), none);
}

template <class T, int N>
__global__ void __launch_bounds__(THREADS)
    attention_keys_vjp(MATRICES(const T, query), MATRICES(const T, key), MATRICES(const T, value), MATRICES(const T, g),
                       const wide_t<T>* logarithms, const wide_t<T>* means, MATRICES(T, of_key), MATRICES(T, of_value),
                       CALL_PARAMETERS) {
    const Call<T> call THE_CALL;
    const int parts = (max(call.width, call.value_width) + 16 * N - 1) / (16 * N), column = blockIdx.x % parts * 16 * N;
    Place place = place_of_block(blockIdx.x / parts, gridDim.x / parts, (call.keys + SIDE - 1) / SIDE,
                                 call.heads / call.shared, false, call.is_causal);
    place.matrices *= call.shared;
    const wide_t<T> none[2][4] = {};
    pull<T, N, true>(call, place, column, THESE(key), THESE(value), THESE(query), THESE(g), none, logarithms, means,
                     THESE(of_key), THESE(of_value));
}
