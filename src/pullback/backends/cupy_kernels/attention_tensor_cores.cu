// Attention of 16-bit numbers on tensor cores, without the matrix of weights (Dao, "FlashAttention-2", 2023).
//
// A block takes a tile of queries and goes along the keys, a tile at a time. It keeps, for each of its rows, the greatest
// score so far, the sum of the exponentials of what the others lie below it, and the average of the values with these as
// weights, unnormalized: when a greater score comes, sum and average shrink. What remains for the way back is one number
// for each row, the logarithm of its whole sum, from which any weight is found again without the others of its row.
//
// On the way back the gradient of a score is weight * (g . value - mean), the mean being g . y. Blocks that take tiles of
// queries sum it over the keys, and others that take tiles of keys over the queries; so each sum has one owner, and its
// order is always the same. That costs 7 products where one kernel with atomic sums needs 5.
//
// A warp has 16 or 32 rows of its block's tile. The weights of a tile never leave its registers: as the sum of one
// product they are laid out as the left factor of the next one wants them. Tiles have rows of D numbers, and 8 more so
// that neighbours in a column are in different banks. While one tile is worked on, the next one is copied.
#include "attention.cuh"
#include "tensor_cores.cuh"

#ifdef __CUDACC__
// Zero below 2^-126, and otherwise to 2 units in the last place.
__device__ inline float exp2_approximate(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
#endif

constexpr float LOG2_E = 1.4426950408889634f;
constexpr unsigned ALL = 0xffffffff;

__device__ inline float exp_approximate(float x) { return exp2_approximate(x * LOG2_E); }

// What the four lanes that share a row have, combined.
template <class Combine>
__device__ inline float reduce_quad(float x, Combine combine) {
    x = combine(x, __shfl_xor_sync(ALL, x, 1));
    return combine(x, __shfl_xor_sync(ALL, x, 2));
}

// Begins to copy rows of a matrix, from `first` on, into a tile of so many; zeros where the matrix has nothing.
template <class T, int D, int ROWS, int THREADS>
__device__ void fetch(T* tile, const T* matrix, long long step, int first, int rows, int width, bool aligned) {
    constexpr int LINE = D / 8, AT_ONCE = THREADS / LINE;  // what 16 bytes of each thread make
    const int column = threadIdx.x % LINE * 8, left = min(rows - first, ROWS);
    int row = threadIdx.x / LINE;
    const T* from = matrix + (long long)(first + row) * step + column;
    T* to = tile + row * (D + 8) + column;
#pragma unroll
    for (int i = 0; i < (ROWS + AT_ONCE - 1) / AT_ONCE; ++i) {
        const bool is_there = row < left && column < width;
        if (ROWS % AT_ONCE && row >= ROWS) break;
        if (aligned) {
            copy_later<16>(to, from, is_there);
        } else {
#pragma unroll 1
            for (int k = 0; k < 8; ++k) to[k] = is_there && column + k < width ? from[k] : T{0};
        }
        row += AT_ONCE;
        from += AT_ONCE * step;
        to += AT_ONCE * (D + 8);
    }
}

// Writes a warp's sums times factors to rows of a matrix, by way of shared memory that nobody else uses any more.
template <class T, int D, int M>
__device__ void store(T* tile, const float (&sums)[M][D / 8][4], const float (&factors)[M][2], T* matrix, long long step,
                      int first, int rows, int width, bool aligned) {
    const int lane = threadIdx.x % 32;
    __syncwarp();
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
        for (int d = 0; d < D / 8; ++d)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                T* to = tile + (m * 16 + half * 8 + lane / 4) * (D + 8) + d * 8 + lane % 4 * 2;
                *reinterpret_cast<unsigned*>(to) =
                    pair_of<T>(sums[m][d][2 * half] * factors[m][half], sums[m][d][2 * half + 1] * factors[m][half]);
            }
    __syncwarp();
    for (int i = lane; i < 16 * M * (D / 8); i += 32) {
        const int row = i / (D / 8), column = i % (D / 8) * 8;
        if (first + row >= rows || column >= width) continue;
        const T* from = tile + row * (D + 8) + column;
        T* to = matrix + (long long)(first + row) * step + column;
        if (aligned) {
            *reinterpret_cast<Pack<T, 8>*>(to) = *reinterpret_cast<const Pack<T, 8>*>(from);
        } else {
            for (int k = 0; k < 8 && column + k < width; ++k) to[k] = from[k];
        }
    }
}

// sums = x y^T, of 16 M rows of x and 8 N rows of y.
template <class T, int D, int M, int N>
__device__ void multiply_rows(float (&sums)[M][N][4], const T* x, const T* y) {
    const int lane = threadIdx.x % 32;
    x += lane % 16 * (D + 8) + lane / 16 * 8;
    y += (lane % 8 + lane / 16 * 8) * (D + 8) + lane / 8 % 2 * 8;
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
        for (int n = 0; n < N; ++n) sums[m][n][0] = sums[m][n][1] = sums[m][n][2] = sums[m][n][3] = 0;
#pragma unroll
    for (int k = 0; k < D; k += 16) {
        unsigned a[M][4], b[4];
#pragma unroll
        for (int m = 0; m < M; ++m) load_matrices(a[m], x + m * 16 * (D + 8) + k);
#pragma unroll
        for (int n = 0; n < N; n += 2) {
            load_matrices(b, y + n * 8 * (D + 8) + k);
#pragma unroll
            for (int m = 0; m < M; ++m) {
                multiply_add<T>(sums[m][n], a[m], b[0], b[1]);
                multiply_add<T>(sums[m][n + 1], a[m], b[2], b[3]);
            }
        }
    }
}

// sums += weights y, of 16 M by 8 N weights and as many rows of y.
template <class T, int D, int M, int N>
__device__ void add_weighted(float (&sums)[M][D / 8][4], const float (&weights)[M][N][4], const T* y) {
    const int lane = threadIdx.x % 32;
    y += lane % 16 * (D + 8) + lane / 16 * 8;
#pragma unroll
    for (int n = 0; n < N; n += 2) {
        unsigned a[M][4], b[4];
#pragma unroll
        for (int m = 0; m < M; ++m)
#pragma unroll
            for (int k = 0; k < 4; ++k)
                a[m][k] = pair_of<T>(weights[m][n + k / 2][k % 2 * 2], weights[m][n + k / 2][k % 2 * 2 + 1]);
#pragma unroll
        for (int d = 0; d < D / 8; d += 2) {
            load_transposed(b, y + n * 8 * (D + 8) + d * 8);
#pragma unroll
            for (int m = 0; m < M; ++m) {
                multiply_add<T>(sums[m][d], a[m], b[0], b[1]);
                multiply_add<T>(sums[m][d + 1], a[m], b[2], b[3]);
            }
        }
    }
}

// A bit for each of a lane's four weights: whether dropout keeps it. Rows are queries: two lanes share four keys of a
// query, and of the two queries that they have each draws one.
template <class T>
__device__ unsigned kept_of_queries(const Call<T>& call, const Place& place, int query, int key) {
    const int lane = threadIdx.x % 32, odd = lane % 2;
    const unsigned own = call.kept(place.matrix, place.matrices, query + lane / 4 + odd * 8, key + lane % 4 / 2 * 4);
    const unsigned other = __shfl_xor_sync(ALL, own, 1);
    return ((odd ? other : own) >> 2 * odd & 3) | ((odd ? own : other) >> 2 * odd & 3) << 2;
}

// The same where rows are keys: four lanes share four keys of a query, and of the four such that they have each draws one.
template <class T>
__device__ unsigned kept_of_keys(const Call<T>& call, const Place& place, int query, int key) {
    const int lane = threadIdx.x % 32, mine = lane / 4 % 4;
    const unsigned own = call.kept(place.matrix, place.matrices, query + lane % 4 * 2 + mine % 2,
                                   key + mine / 2 * 8 + lane / 16 * 4);
    unsigned bits = 0;
#pragma unroll
    for (int k = 0; k < 4; ++k) bits |= (__shfl_sync(ALL, own, (lane & ~12) | k << 2) >> mine & 1) << k;
    return bits;
}

// The same of N tiles side by side, four bits for each.
template <class T, int N, bool OF_KEYS>
__device__ unsigned kept_of_row(const Call<T>& call, const Place& place, int mine, int met) {
    unsigned kept = 0;
#pragma unroll 1  // a generator takes place
    for (int n = 0; n < N; ++n)
        kept |= (OF_KEYS ? kept_of_keys(call, place, met + n * 8, mine)
                         : kept_of_queries(call, place, mine, met + n * 8)) << 4 * n;
    return kept;
}

// How many sixteens of queries a warp has, and how many eights of keys it meets at once.
template <int D, bool EXTRAS>
constexpr int SIXTEENS = EXTRAS || D > 128 ? 1 : 2;
template <int D>
constexpr int EIGHTS = D > 192 ? 4 : 8;

// EXTRAS: whether there are a mask or dropout, which take registers.
template <class T, int D, bool EXTRAS>
__global__ void __launch_bounds__(128, 2)
    attention(MATRICES(const T, query), MATRICES(const T, key), MATRICES(const T, value), MATRICES(T, y),
              float* logarithms, CALL_PARAMETERS) {
    constexpr int M = SIXTEENS<D, EXTRAS>, N = EIGHTS<D>, ROWS = 64 * M, KEYS = 8 * N;
    const Call<T> call THE_CALL;
    const Matrices<const T> queries THESE(query), all_keys THESE(key), values THESE(value);
    const Matrices<T> results THESE(y);
    const Place place =
        place_of_block(blockIdx.x, gridDim.x, (call.rows + ROWS - 1) / ROWS, call.heads, call.is_causal, false);
    const T* own_query = queries.of(place.outer, place.head);
    const T* own_key = all_keys.of(place.outer, place.head / call.shared);
    const T* own_value = values.of(place.outer, place.head / call.shared);
    const void* own_mask = call.mask_of(place.outer, place.head);
    const int first = place.tile * ROWS, stop = call.keys_before(first + ROWS);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int first_of_warp = first + warp * 16 * M;

    DYNAMIC_SHARED(T, query_tile);
    T* key_tile = query_tile + ROWS * (D + 8);
    T* value_tile = key_tile + KEYS * (D + 8);
    T* rows_of_warp = query_tile + warp * 16 * M * (D + 8);
    fetch<T, D, ROWS, 128>(query_tile, own_query, query_row, first, call.rows, call.width, call.aligned);
    fetch<T, D, KEYS, 128>(key_tile, own_key, key_row, 0, call.keys, call.width, call.aligned);
    end_group_of_copies();

    float sums[M][D / 8][4] = {}, totals[M][2] = {}, tops[M][2];
#pragma unroll
    for (int m = 0; m < M; ++m) tops[m][0] = tops[m][1] = -INFINITY;
    for (int at = 0; at < stop; at += KEYS) {
        wait_for_copies<0>();
        __syncthreads();  // the keys are there, and the values before are done with
        fetch<T, D, KEYS, 128>(value_tile, own_value, value_row, at, call.keys, call.value_width, call.aligned);
        end_group_of_copies();
        float weights[M][N][4];
        multiply_rows<T, D, M, N>(weights, rows_of_warp, key_tile);
        wait_for_copies<0>();
        __syncthreads();  // the values are there, and the keys are done with
        if (at + KEYS < stop)
            fetch<T, D, KEYS, 128>(key_tile, own_key, key_row, at + KEYS, call.keys, call.width, call.aligned);
        end_group_of_copies();

        const bool all_in_reach = call.keys_before(first_of_warp + 1) >= at + KEYS;
#pragma unroll
        for (int m = 0; m < M; ++m)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int row = first_of_warp + m * 16 + half * 8 + lane / 4;
                const int reach = call.keys_before(row + 1) - at;
                float most = tops[m][half];
#pragma unroll
                for (int n = 0; n < N; ++n)
#pragma unroll
                    for (int k = 0; k < 2; ++k) {
                        const int column = n * 8 + lane % 4 * 2 + k;
                        float& score = weights[m][n][2 * half + k];
                        score *= call.scale;
                        if (EXTRAS && own_mask) score = call.masked(score, own_mask, row, at + column);
                        if (!all_in_reach && column >= reach) score = -INFINITY;
                        most = max(most, score);
                    }
                most = max(most, __shfl_xor_sync(ALL, most, 1));
                most = max(most, __shfl_xor_sync(ALL, most, 2));
                const float base = most == -INFINITY ? 0 : most;  // nothing yet to attend to
                const float shrink = exp_approximate(tops[m][half] - base);
                tops[m][half] = most;
                totals[m][half] *= shrink;
#pragma unroll
                for (int d = 0; d < D / 8; ++d) {
                    sums[m][d][2 * half] *= shrink;
                    sums[m][d][2 * half + 1] *= shrink;
                }
#pragma unroll
                for (int n = 0; n < N; ++n)
#pragma unroll
                    for (int k = 0; k < 2; ++k) {
                        float& weight = weights[m][n][2 * half + k];
                        weight = exp_approximate(weight - base);
                        totals[m][half] += weight;
                    }
            }
        if (EXTRAS && call.dropout) {
#pragma unroll
            for (int m = 0; m < M; ++m) {
                const unsigned kept = kept_of_row<T, N, false>(call, place, first_of_warp + m * 16, at);
#pragma unroll
                for (int n = 0; n < N; ++n)
#pragma unroll
                    for (int k = 0; k < 4; ++k) weights[m][n][k] *= kept >> (4 * n + k) & 1 ? call.growth : 0;
            }
        }
        add_weighted<T, D, M, N>(sums, weights, value_tile);
    }
    wait_for_copies<0>();
    __syncthreads();  // the queries have come, where there were no keys

    float factors[M][2];
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const float total = reduce_quad(totals[m][half], Sum());
            factors[m][half] = total == 0 ? 1 : 1 / total;
            const int row = first_of_warp + m * 16 + half * 8 + lane / 4;
            if (lane % 4 == 0 && row < call.rows)
                logarithms[place.matrix * call.rows + row] = total == 0 ? INFINITY : tops[m][half] + log(total);
        }
    store<T, D, M>(rows_of_warp, sums, factors, results.of(place.outer, place.head), y_row, first_of_warp, call.rows,
                   call.value_width, call.aligned);
}

// How many warps a block has on the way back, with 16 rows each, and how many rows it meets at once.
template <int D>
constexpr int WARPS = D > 192 ? 3 : 4;
template <int D>
constexpr int MET = D > 128 ? 16 : D > 64 ? 32 : 64;

// For how many blocks on a multiprocessor there are registers.
template <int D, bool EXTRAS>
constexpr int BLOCKS = D > 64 || EXTRAS ? 2 : 3;

// Whether there are registers for the gradients of keys or of values only: blocks for either take turns then.
template <int D>
constexpr bool APART = D > 128;

// The gradients of a tile of rows: of queries, for which x is the queries, of_y that of the averages, and others are keys
// and values; or of keys and values, where it is the other way round.
//
// own: of queries, the logarithms of a lane's two rows and the means of their weights' gradients; logarithms, means: of
// all queries, where these are met. of_first, of_second: where gradients go; of_second is null for queries.
template <class T, int D, bool EXTRAS, bool OF_KEYS>
__device__ void pull(const Call<T>& call, Place place, int first, const Matrices<const T>& first_mine,
                     const Matrices<const T>& second_mine, const Matrices<const T>& first_met,
                     const Matrices<const T>& second_met, const float (&own)[2][2], const float* logarithms,
                     const float* means, bool wants_first, bool wants_second, const Matrices<T>& of_first,
                     const Matrices<T>& of_second) {
    constexpr int THREADS = 32 * WARPS<D>, ROWS = 16 * WARPS<D>, N = MET<D> / 8, SUMS = OF_KEYS && !APART<D> ? 2 : 1;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int rows = OF_KEYS ? call.keys : call.rows, met = OF_KEYS ? call.rows : call.keys;
    const int begin = OF_KEYS ? call.first_to_reach(first) / MET<D> * MET<D> : 0;
    const int stop = OF_KEYS ? met : call.keys_before(first + ROWS);
    const int tiles = max(0, (stop - begin + MET<D> - 1) / MET<D>), steps = OF_KEYS ? tiles * call.shared : tiles;

    DYNAMIC_SHARED(T, first_tile);
    T* second_tile = first_tile + ROWS * (D + 8);
    T* met_tiles = second_tile + ROWS * (D + 8);  // the first and the second, for this step and for the next one
    float* met_numbers = reinterpret_cast<float*>(met_tiles + 4 * MET<D> * (D + 8));
    const int head = OF_KEYS ? place.head : place.head / call.shared;  // of keys
    auto head_at = [&](int step) { return OF_KEYS ? head * call.shared + step / tiles : head; };
    auto fetch_met = [&](int step) {
        const int turn = step % 2;
        const int at = begin + step % tiles * MET<D>, which = head_at(step);
        T* to = met_tiles + 2 * turn * MET<D> * (D + 8);
        fetch<T, D, MET<D>, THREADS>(to, first_met.of(place.outer, which), first_met.row, at, met, call.width, call.aligned);
        fetch<T, D, MET<D>, THREADS>(to + MET<D> * (D + 8), second_met.of(place.outer, which), second_met.row, at, met,
                                     call.value_width, call.aligned);
        if (OF_KEYS && threadIdx.x < MET<D>) {
            const int row = at + threadIdx.x;
            const long long of_all = (long long)(place.outer * call.heads + which) * met + row;
            float* numbers = met_numbers + 2 * turn * MET<D> + threadIdx.x;
            copy_later<4>(numbers, row < met ? logarithms + of_all : logarithms, row < met);
            copy_later<4>(numbers + MET<D>, row < met ? means + of_all : means, row < met);
        }
    };
    const int own_head = OF_KEYS ? head : place.head;
    fetch<T, D, ROWS, THREADS>(first_tile, first_mine.of(place.outer, own_head), first_mine.row, first, rows, call.width,
                               call.aligned);
    fetch<T, D, ROWS, THREADS>(second_tile, second_mine.of(place.outer, own_head), second_mine.row, first, rows,
                               call.value_width, call.aligned);
    if (steps) fetch_met(0);
    end_group_of_copies();
    first_tile += warp * 16 * (D + 8);
    second_tile += warp * 16 * (D + 8);
    const int first_of_warp = first + warp * 16;

    float sums[SUMS][1][D / 8][4] = {};
    for (int step = 0; step < steps; ++step) {
        wait_for_copies<0>();
        __syncthreads();  // this step's tiles are there, and those of the step before are done with
        if (step + 1 < steps) fetch_met(step + 1);
        end_group_of_copies();
        const T* first_other = met_tiles + step % 2 * 2 * MET<D> * (D + 8);
        const T* second_other = first_other + MET<D> * (D + 8);
        const float* numbers = met_numbers + step % 2 * 2 * MET<D>;
        const int at = begin + step % tiles * MET<D>;
        const int query_head = OF_KEYS ? head_at(step) : place.head;
        if (OF_KEYS) place.matrix = place.outer * call.heads + query_head;
        const void* mask = call.mask_of(place.outer, query_head);
        const bool all_in_reach = OF_KEYS ? call.first_to_reach(first_of_warp + 15) <= at
                                          : call.keys_before(first_of_warp + 1) >= at + MET<D>;
        int reach[2];  // of a lane's two rows: the first query, or the end of the keys
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int mine = first_of_warp + half * 8 + lane / 4;
            reach[half] = OF_KEYS ? call.first_to_reach(mine) - at : call.keys_before(mine + 1) - at;
        }

        unsigned kept = 0;
        if (EXTRAS && call.dropout) kept = kept_of_row<T, N, OF_KEYS>(call, place, first_of_warp, at);
        float weights[1][N][4], slopes[1][N][4];
        multiply_rows<T, D, 1, N>(weights, first_tile, first_other);
        if (wants_first) multiply_rows<T, D, 1, N>(slopes, second_tile, second_other);
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                const int mine = first_of_warp + k / 2 * 8 + lane / 4;
                const int column = n * 8 + lane % 4 * 2 + k % 2;
                const float logarithm = OF_KEYS ? numbers[column] : own[0][k / 2];
                const float mean = OF_KEYS ? numbers[MET<D> + column] : own[1][k / 2];
                float& weight = weights[0][n][k];
                float score = weight * call.scale;
                if (EXTRAS && mask)
                    score = OF_KEYS ? call.masked(score, mask, at + column, mine) : call.masked(score, mask, mine, at + column);
                if (!all_in_reach && (OF_KEYS ? column < reach[k / 2] : column >= reach[k / 2])) score = -INFINITY;
                weight = exp_approximate(score - logarithm);
                const float factor = !EXTRAS || !call.dropout ? 1 : kept >> (4 * n + k) & 1 ? call.growth : 0;
                if (wants_first) slopes[0][n][k] = weight * (slopes[0][n][k] * factor - mean);
                weight *= factor;
            }
        if (wants_second) add_weighted<T, D, 1, N>(sums[SUMS - 1], weights, second_other);
        if (wants_first) add_weighted<T, D, 1, N>(sums[0], slopes, first_other);
    }
    wait_for_copies<0>();
    __syncthreads();  // the rows have come, where there was nothing to meet

    const float scales[1][2] = {{call.scale, call.scale}}, ones[1][2] = {{1, 1}};
    if (wants_first)
        store<T, D, 1>(first_tile, sums[0], scales, of_first.of(place.outer, own_head), of_first.row, first_of_warp, rows,
                       call.width, call.aligned);
    if (wants_second)
        store<T, D, 1>(second_tile, sums[SUMS - 1], ones, of_second.of(place.outer, own_head), of_second.row, first_of_warp,
                       rows, call.value_width, call.aligned);
}

// The gradient of the queries; and what each row's gradients of its weights are on average, which that of the keys needs.
template <class T, int D, bool EXTRAS>
__global__ void __launch_bounds__(128, BLOCKS<D, EXTRAS>)
    attention_queries_vjp(MATRICES(const T, query), MATRICES(const T, key), MATRICES(const T, value), MATRICES(const T, g),
                          MATRICES(const T, y), const float* g_logarithms, const float* logarithms, float* means,
                          MATRICES(T, of_query), CALL_PARAMETERS) {
    constexpr int ROWS = 16 * WARPS<D>;
    const Call<T> call THE_CALL;
    const Place place =
        place_of_block(blockIdx.x, gridDim.x, (call.rows + ROWS - 1) / ROWS, call.heads, call.is_causal, false);
    const Matrices<const T> of_averages THESE(g), averages THESE(y);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    float own[2][2] = {};
    for (int half = 0; half < 2; ++half) {
        const int row = place.tile * ROWS + warp * 16 + half * 8 + lane / 4;
        float mean = 0;
        if (row < call.rows) {
            const T* of_average = of_averages.of(place.outer, place.head) + (long long)row * g_row;
            const T* average = averages.of(place.outer, place.head) + (long long)row * y_row;
            for (int d = lane % 4; d < call.value_width; d += 4) mean += widen(of_average[d]) * widen(average[d]);
        }
        mean = reduce_quad(mean, Sum());
        if (row < call.rows) {
            const long long of_all = place.matrix * call.rows + row;
            if (g_logarithms) mean -= g_logarithms[of_all];
            if (lane % 4 == 0) means[of_all] = mean;
            own[0][half] = logarithms[of_all];
            own[1][half] = mean;
        }
    }
    const Matrices<T> none{};
    pull<T, D, EXTRAS, false>(call, place, place.tile * ROWS, THESE(query), of_averages, THESE(key), THESE(value), own, nullptr,
                      nullptr, true, false, THESE(of_query), none);
}

template <class T, int D, bool EXTRAS>
__global__ void __launch_bounds__(128, BLOCKS<D, EXTRAS>)
    attention_keys_vjp(MATRICES(const T, query), MATRICES(const T, key), MATRICES(const T, value), MATRICES(const T, g),
                       const float* logarithms, const float* means, MATRICES(T, of_key), MATRICES(T, of_value),
                       CALL_PARAMETERS) {
    constexpr int ROWS = 16 * WARPS<D>, TURNS = APART<D> ? 2 : 1;
    const Call<T> call THE_CALL;
    Place place = place_of_block(blockIdx.x / TURNS, gridDim.x / TURNS, (call.keys + ROWS - 1) / ROWS,
                                 call.heads / call.shared, false, call.is_causal);
    place.matrices *= call.shared;
    const bool is_first = blockIdx.x % TURNS == 0;
    const float none[2][2] = {};
    pull<T, D, EXTRAS, true>(call, place, place.tile * ROWS, THESE(key), THESE(value), THESE(query), THESE(g), none, logarithms,
                     means, !APART<D> || is_first, !APART<D> || !is_first, THESE(of_key), THESE(of_value));
}
