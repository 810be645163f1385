// Convolutions as matrix products whose one factor is gathered from the image as it is needed, row by row: channels come
// last, so that what lies under an element of the kernel is a row of memory.
//
// A block makes a tile of the result. Its factors are copied into shared memory in steps, some of them ahead of what is
// multiplied, so that the copies take no time of their own.
#include "tiles.cuh"
#include "windows.cuh"

constexpr int STAGES = 3;  // how many steps are in shared memory at once

// Copy N numbers, or set them to zero; see `copy_later`.
template <class T, int N>
__device__ void fetch(T* to, const T* from, bool is_there) {
    if constexpr (N * sizeof(T) >= 4)
        copy_later<N * sizeof(T)>(to, from, is_there);
    else
        *to = is_there ? *from : T{};
}

// Take all steps of a tile: load(step, stage) begins to fill the shared memory of a stage.
template <bool across, class T, class Tiled, class Load>
__device__ void sum_up(Tiled& tile, T* left, T* right, int left_size, int right_size, long long steps, Load load) {
    for (int ahead = 0; ahead < STAGES - 1; ++ahead) {
        if (ahead < steps) load(ahead, left + ahead * left_size, right + ahead * right_size);
        end_group_of_copies();
    }
    int stage = 0, free = STAGES - 1;
    for (long long step = 0; step < steps; ++step) {
        wait_for_copies<STAGES - 2>();
        __syncthreads();  // everybody's copies have come, and what is free has been multiplied by all
        if (step + STAGES - 1 < steps) load(step + STAGES - 1, left + free * left_size, right + free * right_size);
        end_group_of_copies();
        tile.template multiply<across>(left + stage * left_size, right + stage * right_size);
        free = stage;
        stage = stage == STAGES - 1 ? 0 : stage + 1;
    }
}

// A row of a tile of places: where its window begins, and where its result goes.
struct Row {
    int at[3], is_there;
    long long from, to;
};

// An element of the kernel that a tile's places see: how far from a window's begin, and where in the weight.
struct Tap {
    int far[3], unused;
    long long from, element;
};

// The result at places of the output (rows) in channels of a group (columns): the sum over taps and channels, of the
// image times the weight (groups * outs, taps, ins).
template <class T, int N, int W, bool transposed>
__device__ void convolve(
    const T* x, const T* weight, const T* bias, T* y, long long images, AXES, long long groups, long long ins, long long outs
) {
    using Tiled = Tile<T, W>;
    constexpr int depth = Tiled::depth, line = depth + Tiled::pad, in_line = depth / N, together = Tiled::threads / in_line;
    constexpr int left_size = Tiled::rows * line, right_size = Tiled::columns * line;
    constexpr int at_once = N * sizeof(T) < 16 ? 4 : 16;  // of single numbers, addresses would fill the registers
    DYNAMIC_SHARED(T, left);
    T* right = left + STAGES * left_size;
    Row* rows = reinterpret_cast<Row*>(right + STAGES * right_size);
    Tap* seen = reinterpret_cast<Tap*>(rows + Tiled::rows);

    const Axis axes[3] = GATHERED_AXES;
    const long long tiles_of_columns = (outs + Tiled::columns - 1) / Tiled::columns;
    long long rest = blockIdx.x;
    const int column = (int)(rest % tiles_of_columns) * Tiled::columns;
    rest /= tiles_of_columns;
    const long long group = rest % groups;
    rest /= groups;
    Along along[3];
    long long of_image = 1;
#pragma unroll
    for (int i = 2; i >= 0; --i) {
        const int parts = transposed ? axes[i].stride : 1;
        along[i] = Along::of<transposed>(axes[i], (int)(rest % parts));
        rest /= parts;
        of_image *= along[i].places;
    }
    const long long first = rest * Tiled::rows, places = images * of_image;
    if (first >= places) return;  // not all parts have equally many places

    const long long channels = groups * ins, elements = kernel1 * kernel2 * kernel3 * ins;
    for (int i = threadIdx.x; i < Tiled::rows; i += Tiled::threads) {
        Row row;
        row.is_there = first + i < places;
        Walk walk(row.is_there ? first + i : 0, along[0].places, along[1].places, along[2].places);
        row.from = row.to = walk.image;
#pragma unroll
        for (int k = 0; k < 3; ++k) {
            row.at[k] = row.is_there ? along[k].start + walk.at[k] * along[k].step : -0x40000000;  // nothing is there
            row.from = row.from * axes[k].from + row.at[k];
            row.to = row.to * axes[k].to + along[k].phase + walk.at[k] * along[k].between;
        }
        row.from = row.is_there ? row.from * channels + group * ins : 0;
        row.to = (row.to * groups + group) * outs;
        rows[i] = row;
    }
    const int taps = along[0].taps * along[1].taps * along[2].taps;
    for (int i = threadIdx.x; i < taps; i += Tiled::threads) {
        const int tap[3] = {i / along[2].taps / along[1].taps, i / along[2].taps % along[1].taps, i % along[2].taps};
        Tap& there = seen[i];
        there.from = there.element = 0;
#pragma unroll
        for (int k = 0; k < 3; ++k) {
            there.far[k] = tap[k] * along[k].apart;
            there.from = there.from * axes[k].from + there.far[k];
            there.element = there.element * axes[k].kernel + along[k].first + tap[k] * along[k].each;
        }
        there.from *= channels;
        there.element *= ins;
    }
    __syncthreads();

    // Where this thread is in the sum: at some channels under an element of the kernel, the same in all its rows.
    const int mine = threadIdx.x / in_line, offset = threadIdx.x % in_line * N, deep = (int)ins;
    int tap = offset / deep, channel = offset % deep;
    weight += (group * outs + column) * elements;
    const int wide = (int)min(outs - column, (long long)Tiled::columns);
    auto load = [&](long long, T* a, T* b) {
        const bool is_inside = tap < taps;
        const Tap there = seen[is_inside ? tap : 0];
        const T* from = x + there.from + channel;
#pragma unroll(at_once)
        for (int i = mine; i < Tiled::rows + mine; i += together) {
            const Row& row = rows[i];
            const bool is_there = is_inside && (unsigned)(row.at[0] + there.far[0]) < (unsigned)axes[0].from &&
                                  (unsigned)(row.at[1] + there.far[1]) < (unsigned)axes[1].from &&
                                  (unsigned)(row.at[2] + there.far[2]) < (unsigned)axes[2].from;
            fetch<T, N>(a + i * line + offset, is_there ? from + row.from : x, is_there);
        }
        from = weight + there.element + channel;
#pragma unroll(at_once)
        for (int i = mine; i < Tiled::columns + mine; i += together) {
            const bool is_there = is_inside && i < wide;
            fetch<T, N>(b + i * line + offset, is_there ? from + i * elements : weight, is_there);
        }
        channel += depth;
        if (channel >= deep) {
            tap += channel / deep;
            channel %= deep;
        }
    };

    Tiled tile;
    sum_up<false>(tile, left, right, left_size, right_size, (taps * ins + depth - 1) / depth, load);

    const T* mine_of_bias = bias ? bias + group * outs : nullptr;
    auto result = [&](int column, wide_t<T> sum) {
        return narrow<T>(mine_of_bias ? sum + (wide_t<T>)widen(mine_of_bias[column]) : sum);
    };
    if constexpr (sizeof(T) == 2) {
        const bool in_pairs = outs % 2 == 0;
        tile.template give_all<false>([&](int i, int j, float sum, float next) {
            j += column;
            if (!rows[i].is_there || j >= outs) return;
            T* to = y + rows[i].to + j;
            if (in_pairs) {
                *reinterpret_cast<Pack<T, 2>*>(to) = {{result(j, sum), result(j + 1, next)}};
                return;
            }
            to[0] = result(j, sum);
            if (j + 1 < outs) to[1] = result(j + 1, next);
        });
    } else {
        tile.template give_all<false>([&](int i, int j, T sum) {
            j += column;
            if (rows[i].is_there && j < outs) y[rows[i].to + j] = result(j, sum);
        });
    }
}

template <class T, int N, int W>
__global__ void __launch_bounds__(Tile<T, W>::threads, 4 / W) conv(
    const T* x, const T* weight, const T* bias, T* y, long long images, AXES, long long groups, long long ins, long long outs
) {
    convolve<T, N, W, false>(
        x, weight, bias, y, images, from1, from2, from3, to1, to2, to3, kernel1, kernel2, kernel3, stride1, stride2,
        stride3, dilation1, dilation2, dilation3, before1, before2, before3, groups, ins, outs
    );
}

template <class T, int N, int W>
__global__ void __launch_bounds__(Tile<T, W>::threads, 4 / W) conv_transpose(
    const T* x, const T* weight, const T* bias, T* y, long long images, AXES, long long groups, long long ins, long long outs
) {
    convolve<T, N, W, true>(
        x, weight, bias, y, images, from1, from2, from3, to1, to2, to3, kernel1, kernel2, kernel3, stride1, stride2,
        stride3, dilation1, dilation2, dilation3, before1, before2, before3, groups, ins, outs
    );
}

// The gradient with respect to the weight: for channels of the cotangent g (rows) and elements of the weight (columns),
// the sum over a split's part of all places. It goes into `parts`, in the order of the splits, or if that is null into y.
template <class T, int N, int W>
__global__ void __launch_bounds__(Tile<T, W>::threads, 4 / W) conv_weight(
    const T* x, const T* g, wide_t<T>* parts, T* y, long long images, AXES, long long groups, long long ins, long long outs,
    long long splits
) {
    using Tiled = Tile<T, W>;
    constexpr int depth = Tiled::depth, left_line = Tiled::rows + Tiled::pad, right_line = Tiled::columns + Tiled::pad;
    constexpr int left_size = depth * left_line, right_size = depth * right_line;
    constexpr int left_packs = Tiled::rows / N, right_packs = Tiled::columns / N;
    constexpr int left_together = Tiled::threads / left_packs, right_together = Tiled::threads / right_packs;
    static_assert(depth % left_together == 0 && depth % right_together == 0, "all threads copy equally much");
    DYNAMIC_SHARED(T, left);
    T* right = left + STAGES * left_size;

    const Axis axes[3] = GATHERED_AXES;
    const long long elements = kernel1 * kernel2 * kernel3 * ins, channels = groups * ins;
    const long long tiles_of_columns = (elements + Tiled::columns - 1) / Tiled::columns;
    const long long tiles_of_rows = (outs + Tiled::rows - 1) / Tiled::rows;
    long long rest = blockIdx.x;
    const long long first_column = rest % tiles_of_columns * Tiled::columns;
    rest /= tiles_of_columns;
    const long long first_row = rest % tiles_of_rows * Tiled::rows;
    rest /= tiles_of_rows;
    const long long group = rest % groups, split = rest / groups;

    const long long places = images * to1 * to2 * to3, all_steps = (places + depth - 1) / depth;
    const long long each = (all_steps + splits - 1) / splits, begin = split * each * depth;
    const long long stop = min(begin + each * depth, places);

    const int left_mine = threadIdx.x / left_packs, left_offset = threadIdx.x % left_packs * N;
    const int right_mine = threadIdx.x / right_packs, right_offset = threadIdx.x % right_packs * N;
    const long long out = first_row + left_offset, element = first_column + right_offset;
    int far[3];  // of the element of the kernel that this thread has, in all its rows
    long long tap = element / ins;
    const long long channel = group * ins + element - tap * ins;
#pragma unroll
    for (int k = 2; k >= 0; --k) {
        far[k] = (int)(tap % axes[k].kernel) * axes[k].dilation - axes[k].before;
        tap /= axes[k].kernel;
    }
    Walk walk(begin + right_mine, axes[0].to, axes[1].to, axes[2].to);

    auto load = [&](long long step, T* a, T* b) {
        const long long from = begin + step * depth;
#pragma unroll 2
        for (int i = left_mine; i < depth + left_mine; i += left_together) {
            const bool is_there = from + i < stop && out < outs;
            fetch<T, N>(a + i * left_line + left_offset, is_there ? g + ((from + i) * groups + group) * outs + out : g, is_there);
        }
#pragma unroll 2
        for (int i = right_mine; i < depth + right_mine; i += right_together) {
            bool is_there = from + i < stop && element < elements;
            long long place = walk.image;
#pragma unroll
            for (int k = 0; k < 3; ++k) {
                const int at = walk.at[k] * axes[k].stride + far[k];
                is_there = is_there && (unsigned)at < (unsigned)axes[k].from;
                place = place * axes[k].from + at;
            }
            fetch<T, N>(b + i * right_line + right_offset, is_there ? x + place * channels + channel : x, is_there);
            walk.advance(right_together, axes[0].to, axes[1].to, axes[2].to);
        }
    };

    Tiled tile;
    sum_up<true>(tile, left, right, left_size, right_size, stop > begin ? (stop - begin + depth - 1) / depth : 0, load);

    auto put = [&](int i, int j, wide_t<T> sum) {
        const long long row = first_row + i, column = first_column + j;
        if (row >= outs || column >= elements) return;
        const long long place = (group * outs + row) * elements + column;
        if (parts)
            parts[split * groups * outs * elements + place] = sum;
        else
            y[place] = narrow<T>(sum);
    };
    if constexpr (sizeof(T) == 2)
        tile.template give_all<true>([&](int i, int j, float sum, float next) {
            put(i, j, sum);
            put(i, j + 1, next);
        });
    else
        tile.template give_all<true>(put);
}
