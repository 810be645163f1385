// A block's tile of a matrix product: the sums of its rows and columns over what stands in shared memory.
//
// A tile has Tile::rows rows and Tile::columns columns, and its block Tile::threads threads; W, 1 or 2, says how wide it
// is. Each step is over Tile::depth places of the sum. What is multiplied lies in shared memory in one of two ways:
// along the sum (the `depth` numbers of a row or column together), or across it (those of all rows for one place).
#include "tensor_cores.cuh"

// Sums of float and double, in registers.
template <class T, int W>
struct Tile {
    static constexpr int each = sizeof(T) == 8 ? 4 : 8, vector = 16 / sizeof(T), depth = 64 / sizeof(T), pad = vector;
    static constexpr int rows = 16 * each, wide = 8 * W, columns = wide * each, threads = 16 * wide;

    T sums[each][each] = {};
    int row, column;  // of threads

    __device__ Tile() : row(threadIdx.x / wide), column(threadIdx.x % wide) {}

    // Neighbouring threads read neighbouring rows of memory, which are in different banks, or neighbours within a row.
    template <bool across>
    __device__ static int place(int thread, int all, int k) {
        return across ? k / vector * all * vector + thread * vector + k % vector : thread + all * k;
    }

    template <bool across>
    __device__ void multiply(const T* a, const T* b) {
        using Vector = Pack<T, vector>;
        if constexpr (across) {
#pragma unroll 2
            for (int k = 0; k < depth; ++k, a += rows + pad, b += columns + pad) {
                T left[each], right[each];
#pragma unroll
                for (int i = 0; i < each; i += vector) {
                    const Vector some = *reinterpret_cast<const Vector*>(a + place<true>(row, 16, i));
                    const Vector others = *reinterpret_cast<const Vector*>(b + place<true>(column, wide, i));
#pragma unroll
                    for (int v = 0; v < vector; ++v) left[i + v] = some.values[v], right[i + v] = others.values[v];
                }
#pragma unroll
                for (int i = 0; i < each; ++i)
#pragma unroll
                    for (int j = 0; j < each; ++j) sums[i][j] += left[i] * right[j];
            }
        } else {
#pragma unroll 1
            for (int k = 0; k < depth; k += vector) {
                Vector left[each];
#pragma unroll
                for (int i = 0; i < each; ++i)
                    left[i] = *reinterpret_cast<const Vector*>(a + place<false>(row, 16, i) * (depth + pad) + k);
#pragma unroll
                for (int j = 0; j < each; ++j) {
                    const Vector right =
                        *reinterpret_cast<const Vector*>(b + place<false>(column, wide, j) * (depth + pad) + k);
#pragma unroll
                    for (int i = 0; i < each; ++i)
#pragma unroll
                        for (int v = 0; v < vector; ++v) sums[i][j] += left[i].values[v] * right.values[v];
                }
            }
        }
    }

    // Calls give(row, column, sum) for each sum of this thread.
    template <bool across, class Give>
    __device__ void give_all(Give give) const {
#pragma unroll
        for (int i = 0; i < each; ++i)
#pragma unroll
            for (int j = 0; j < each; ++j) give(place<across>(row, 16, i), place<across>(column, wide, j), sums[i][j]);
    }
};

// Sums of 16-bit numbers, on tensor cores: each warp has 64 rows and 32 columns.
template <class T, int W>
struct TensorTile {
    static constexpr int vector = 8, depth = 32, pad = 8, rows = 128, columns = 64 * W, threads = 128 * W;

    float sums[4][4][4] = {};
    int row, column, lane;  // where the warp's part begins

    __device__ TensorTile()
        : row(threadIdx.x / 32 / (2 * W) * 64), column(threadIdx.x / 32 % (2 * W) * 32), lane(threadIdx.x % 32) {}

    template <bool across>
    __device__ void multiply(const T* a, const T* b) {
        const int low = lane % 8, middle = lane / 8 % 2 * 8, high = lane / 16 * 8;
#pragma unroll
        for (int k = 0; k < depth; k += 16) {
            unsigned left[4][4], right[2][4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int first = row + 16 * i;
                if (across)
                    load_transposed(left[i], a + (k + low + high) * (rows + pad) + first + middle);
                else
                    load_matrices(left[i], a + (first + low + middle) * (depth + pad) + k + high);
            }
#pragma unroll
            for (int j = 0; j < 2; ++j) {
                const int first = column + 16 * j;
                if (across)
                    load_transposed(right[j], b + (k + low + middle) * (columns + pad) + first + high);
                else
                    load_matrices(right[j], b + (first + low + high) * (depth + pad) + k + middle);
            }
#pragma unroll
            for (int i = 0; i < 4; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j)
                    multiply_add<T>(sums[i][j], left[i], right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]);
        }
    }

    template <bool across, class Give>
    __device__ void give_all(Give give) const {
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j)
#pragma unroll
                for (int k = 0; k < 4; k += 2)
                    give(row + 16 * i + lane / 4 + 4 * k, column + 8 * j + lane % 4 * 2, sums[i][j][k], sums[i][j][k + 1]);
    }
};

template <int W>
struct Tile<float16, W> : TensorTile<float16, W> {};
template <int W>
struct Tile<bfloat16, W> : TensorTile<bfloat16, W> {};
