// Normalization over the positions of each sample, by channels, which come last: batch norm and group norm.
//
// A block has a tile: some neighbouring channels, N for each of its threads side by side, of a stretch of positions in one
// sample. `tiles` of them lie side by side, and a sample's positions are parted into `splits` stretches of `stretch`.
#include "numbers.cuh"
#include "factors.cuh"

struct Tile {
    long long sample, split, channel, first, stop;  // of positions, this thread's first one and where the stretch ends
    long long base;                                 // where the sample begins in memory
    bool has_channels;

    __device__ Tile(long long positions, long long channels, long long splits, long long stretch, int N) {
        const long long across = (long long)blockDim.x * N, tiles = (channels + across - 1) / across;
        const long long block = blockIdx.x;
        channel = block % tiles * across + threadIdx.x * N;
        split = block / tiles % splits;
        sample = block / (tiles * splits);
        first = split * stretch + threadIdx.y;
        stop = min((split + 1) * stretch, positions);
        base = sample * positions * channels;
        has_channels = channel < channels;
    }
};

// What is known of some values: how many they are, their mean and squared deviations from it; and of the gradients that
// belong to them the sum, and the sum of them times the deviations. Joining two such loses no digits (Chan et al., 1983).
template <class W>
struct Moments {
    W mean = 0, squares = 0, total = 0, product = 0;

    // share: how much of the values the others are.
    __device__ void join(W count, const Moments& others, W share) {
        const W apart = others.mean - mean, shift = apart * share;
        mean += shift;
        squares += others.squares + apart * shift * count;
        product += others.product + (apart - shift) * others.total - shift * total;
        total += others.total;
    }
};

template <class T, int N, int count, bool with_g>
__device__ void take_positions(const T* x, const T* g, long long step, wide_t<T>& known, Moments<wide_t<T>> (&moments)[N]) {
    using W = wide_t<T>;
    Pack<T, N> xs[count], gs[with_g ? count : 1];
#pragma unroll
    for (int p = 0; p < count; ++p) {
        xs[p] = *reinterpret_cast<const Pack<T, N>*>(x + p * step);
        if constexpr (with_g) gs[p] = *reinterpret_cast<const Pack<T, N>*>(g + p * step);
    }
    const W share = count / (known + count);
#pragma unroll
    for (int n = 0; n < N; ++n) {
        Moments<W> here;
#pragma unroll
        for (int p = 0; p < count; ++p) here.mean += (W)widen(xs[p].values[n]) / count;
#pragma unroll
        for (int p = 0; p < count; ++p) {
            const W apart = widen(xs[p].values[n]) - here.mean;
            here.squares += apart * apart;
            if constexpr (with_g) {
                here.total += widen(gs[p].values[n]);
                here.product += widen(gs[p].values[n]) * apart;
            }
        }
        moments[n].join(known, here, share);
    }
    known += count;
}

// The moments of each channel in each stretch: parts is (2 or with g 4, samples, splits, channels).
template <class T, int N, bool with_g>
__device__ void measure(const T* x, const T* g, wide_t<T>* parts, long long samples, long long positions, long long channels,
                        long long splits, long long stretch) {
    using W = wide_t<T>;
    constexpr int kinds = with_g ? 4 : 2;
    __shared__ W of_threads[kinds][N][256], counts[256];
    const Tile tile(positions, channels, splits, stretch, N);
    const long long step = blockDim.y * channels;
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    Moments<W> moments[N];
    W known = 0;
    if (tile.has_channels) {
        const long long start = tile.base + tile.channel;
        long long position = tile.first;
        for (; position + 3 * blockDim.y < tile.stop; position += 4 * blockDim.y) {
            const long long i = start + position * channels;
            take_positions<T, N, 4, with_g>(x + i, g + i, step, known, moments);
        }
        for (; position < tile.stop; position += blockDim.y) {
            const long long i = start + position * channels;
            take_positions<T, N, 1, with_g>(x + i, g + i, step, known, moments);
        }
    }
    int half = 1;
    while (half < blockDim.y) half *= 2;
    for (half /= 2; half; half /= 2) {  // the later half of the threads hands on what it has to the earlier one
        if (threadIdx.y >= half && threadIdx.y < 2 * half) {
            counts[thread] = known;
#pragma unroll
            for (int n = 0; n < N; ++n) {
                of_threads[0][n][thread] = moments[n].mean;
                of_threads[1][n][thread] = moments[n].squares;
                if constexpr (with_g) {
                    of_threads[2][n][thread] = moments[n].total;
                    of_threads[3][n][thread] = moments[n].product;
                }
            }
        }
        __syncthreads();
        const int other = thread + half * blockDim.x;
        if (threadIdx.y < half && threadIdx.y + half < blockDim.y && counts[other] > 0) {
            const W share = counts[other] / (known + counts[other]);
#pragma unroll
            for (int n = 0; n < N; ++n) {
                Moments<W> others;
                others.mean = of_threads[0][n][other];
                others.squares = of_threads[1][n][other];
                if constexpr (with_g) {
                    others.total = of_threads[2][n][other];
                    others.product = of_threads[3][n][other];
                }
                moments[n].join(known, others, share);
            }
            known += counts[other];
        }
    }
    if (threadIdx.y > 0 || !tile.has_channels) return;
    const long long kind = samples * splits * channels;
    parts += (tile.sample * splits + tile.split) * channels + tile.channel;
#pragma unroll
    for (int n = 0; n < N; ++n) {
        parts[n] = moments[n].mean;
        parts[kind + n] = moments[n].squares;
        if constexpr (with_g) {
            parts[2 * kind + n] = moments[n].total;
            parts[3 * kind + n] = moments[n].product;
        }
    }
}

template <class T, int N>
__global__ void __launch_bounds__(256) measure_values(const T* x, wide_t<T>* parts, long long samples, long long positions,
                                                      long long channels, long long splits, long long stretch) {
    measure<T, N, false>(x, x, parts, samples, positions, channels, splits, stretch);
}

template <class T, int N>
__global__ void __launch_bounds__(256) measure_both(const T* x, const T* g, wide_t<T>* parts, long long samples, long long positions,
                                                    long long channels, long long splits, long long stretch) {
    measure<T, N, true>(x, g, parts, samples, positions, channels, splits, stretch);
}

// The parts of one group of channels in one sample, as a block sees them that joins them.
template <class W>
struct Group {
    const W* parts;  // (splits, channels), those of this sample
    long long kind, sample, number, first, size, channels, splits, stretch, positions;

    __device__ Group(const W* all, long long samples, long long groups, long long positions, long long channels, long long splits,
                     long long stretch)
        : channels(channels), splits(splits), stretch(stretch), positions(positions) {
        number = blockIdx.x;
        sample = number / groups;
        size = channels / groups;
        first = number % groups * size;
        kind = samples * splits * channels;
        parts = all + sample * splits * channels;
    }
    __device__ W count_of(long long split) const { return min(stretch, positions - split * stretch); }
    __device__ W count() const { return (W)positions * size; }
};

// Mean and variance of a group: warps part its channels among them, lanes the stretches. All threads get them.
template <class W>
__device__ void join_group(const Group<W>& group, W& mean, W& variance) {
    __shared__ W of_warps[3][32];
    Moments<W> moments;
    W known = 0;
    for (long long c = group.first + threadIdx.y; c < group.first + group.size; c += blockDim.y)
        for (long long split = threadIdx.x; split < group.splits; split += 32) {
            Moments<W> others;
            others.mean = group.parts[split * group.channels + c];
            others.squares = group.parts[group.kind + split * group.channels + c];
            const W count = group.count_of(split);
            moments.join(known, others, count / (known + count));
            known += count;
        }
    for (int distance = 16; distance; distance /= 2) {
        Moments<W> others;
        others.mean = __shfl_down_sync(0xffffffff, moments.mean, distance);
        others.squares = __shfl_down_sync(0xffffffff, moments.squares, distance);
        const W count = __shfl_down_sync(0xffffffff, known, distance);
        if (threadIdx.x >= distance || count == 0) continue;
        moments.join(known, others, count / (known + count));
        known += count;
    }
    if (threadIdx.x == 0) {
        of_warps[0][threadIdx.y] = moments.mean;
        of_warps[1][threadIdx.y] = moments.squares;
        of_warps[2][threadIdx.y] = known;
    }
    __syncthreads();
    moments.mean = of_warps[0][0];
    moments.squares = of_warps[1][0];
    known = of_warps[2][0];
    for (int warp = 1; warp < blockDim.y; ++warp) {
        const W count = of_warps[2][warp];
        Moments<W> others;
        others.mean = of_warps[0][warp];
        others.squares = of_warps[1][warp];
        moments.join(known, others, count / (known + count));
        known += count;
    }
    mean = moments.mean;
    variance = moments.squares / group.count();
}

// Mean and variance of each group in each sample, (samples, groups).
template <class T, int N>
__global__ void join_values(const wide_t<T>* parts, wide_t<T>* means, wide_t<T>* variances, long long samples, long long groups,
                            long long positions, long long channels, long long splits, long long stretch) {
    const Group<wide_t<T>> group(parts, samples, groups, positions, channels, splits, stretch);
    wide_t<T> mean, variance;
    join_group(group, mean, variance);
    if (threadIdx.x > 0 || threadIdx.y > 0) return;
    means[group.number] = mean;
    variances[group.number] = variance;
}

// By what the gradient of x is made, for each group in each sample: slopes is (4, samples, groups), see `pull_columns`; and
// the gradients of weight and bias, of several samples as parts (samples, 2, channels).
template <class T, int N>
__global__ void join_both(const wide_t<T>* parts, const void* weight, const wide_t<T>* of_means, const wide_t<T>* of_variances,
                          wide_t<T>* slopes, wide_t<T>* of_samples, void* of_weight, void* of_bias, long long samples,
                          long long groups, long long positions, long long channels, long long splits, long long stretch,
                          long long wide, double eps) {
    using W = wide_t<T>;
    __shared__ W of_warps[2][32];
    const Group<W> group(parts, samples, groups, positions, channels, splits, stretch);
    W mean, variance;
    join_group(group, mean, variance);
    const W scale = 1 / sqrt(variance + (W)eps);
    W along_one = 0, along_x = 0;
    for (long long c = group.first + threadIdx.y; c < group.first + group.size; c += blockDim.y) {
        W total = 0, product = 0;
        for (long long split = threadIdx.x; split < splits; split += 32) {
            const W* part = group.parts + split * channels + c;
            total += part[2 * group.kind];
            product += part[3 * group.kind] + (part[0] - mean) * part[2 * group.kind];
        }
        total = reduce_warp(total, Sum());
        product = reduce_warp(product, Sum());
        const W factor = read_factor<T>(weight, wide, c, 1);
        along_one += total * factor;
        along_x += product * factor;
        if (threadIdx.x > 0) continue;
        if (samples > 1) {
            of_samples[2 * group.sample * channels + c] = product * scale;
            of_samples[(2 * group.sample + 1) * channels + c] = total;
        } else {
            write_factor<T>(of_weight, wide, c, product * scale);
            write_factor<T>(of_bias, wide, c, total);
        }
    }
    if (threadIdx.x == 0) {
        of_warps[0][threadIdx.y] = along_one;
        of_warps[1][threadIdx.y] = along_x;
    }
    __syncthreads();
    if (threadIdx.x > 0 || threadIdx.y > 0) return;
    for (int warp = 1; warp < blockDim.y; ++warp) {
        along_one += of_warps[0][warp];
        along_x += of_warps[1][warp];
    }
    const W count = group.count(), of_mean = of_means ? of_means[group.number] : (W)0;
    const W of_variance = of_variances ? of_variances[group.number] : (W)0;
    const long long all = samples * groups;
    slopes[group.number] = mean;
    slopes[all + group.number] = scale;
    slopes[2 * all + group.number] = (2 * of_variance - scale * scale * scale * along_x) / count;
    slopes[3 * all + group.number] = (of_mean - scale * along_one) / count;
}

// Calls use(i) for where each pack of the tile's channels begins in memory.
template <int N, class Use>
__device__ void each_position(const Tile& tile, long long channels, Use use) {
    const long long start = tile.base + tile.channel;
#pragma unroll 4
    for (long long position = tile.first; position < tile.stop; position += blockDim.y) use(start + position * channels);
}

// (x - mean) / sqrt(variance + eps) * weight + bias, where mean and variance are those of the groups; without a mean, of 0.
template <class T, int N>
__global__ void __launch_bounds__(256) normalize_columns(const T* x, const void* means, const void* variances, const void* weight,
                                                         const void* bias, T* y, long long groups, long long positions,
                                                         long long channels, long long splits, long long stretch,
                                                         long long wide_statistics, long long wide, double eps) {
    using W = wide_t<T>;
    const Tile tile(positions, channels, splits, stretch, N);
    if (!tile.has_channels) return;
    W mean[N], scale[N], shift[N];
    read_factors<T, N>(weight, wide, tile.channel, 1, scale);
    read_factors<T, N>(bias, wide, tile.channel, 0, shift);
#pragma unroll
    for (int n = 0; n < N; ++n) {
        const long long group = tile.sample * groups + (tile.channel + n) / (channels / groups);
        mean[n] = read_factor<T>(means, wide_statistics, group, 0);
        scale[n] /= sqrt(read_factor<T>(variances, wide_statistics, group, 1) + (W)eps);
    }
    each_position<N>(tile, channels, [&](long long i) {
        Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(x + i);
#pragma unroll
        for (int n = 0; n < N; ++n) pack.values[n] = narrow<T>((widen(pack.values[n]) - mean[n]) * scale[n] + shift[n]);
        *reinterpret_cast<Pack<T, N>*>(y + i) = pack;
    });
}

// The gradient of x: slopes are, for each group, its mean, what g is multiplied by beside the weight, what the deviation of
// x is multiplied by, and what is added.
template <class T, int N>
__global__ void __launch_bounds__(256) pull_columns(const T* g, const T* x, const wide_t<T>* slopes, const void* weight, T* gx,
                                                    long long samples, long long groups, long long positions, long long channels,
                                                    long long splits, long long stretch, long long wide) {
    using W = wide_t<T>;
    const Tile tile(positions, channels, splits, stretch, N);
    if (!tile.has_channels) return;
    W mean[N], of_g[N], of_x[N], shift[N];
    read_factors<T, N>(weight, wide, tile.channel, 1, of_g);
#pragma unroll
    for (int n = 0; n < N; ++n) {
        const long long all = samples * groups, group = tile.sample * groups + (tile.channel + n) / (channels / groups);
        mean[n] = slopes[group];
        of_g[n] *= slopes[all + group];
        of_x[n] = slopes[2 * all + group];
        shift[n] = slopes[3 * all + group];
    }
    each_position<N>(tile, channels, [&](long long i) {
        const Pack<T, N> gs = *reinterpret_cast<const Pack<T, N>*>(g + i);
        Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(x + i);
#pragma unroll
        for (int n = 0; n < N; ++n)
            pack.values[n] = narrow<T>(widen(gs.values[n]) * of_g[n] + (widen(pack.values[n]) - mean[n]) * of_x[n] + shift[n]);
        *reinterpret_cast<Pack<T, N>*>(gx + i) = pack;
    });
}

// Running means, variances and the number of batches, with those of one more batch.
template <class T, int N>
__global__ void track(const T* mean, const T* variance, const void* count, const void* batch_mean, const void* batch_variance,
                      T* new_mean, T* new_variance, void* new_count, long long channels, long long wide, long long counts_whole,
                      double unbiased, double momentum) {
    using W = wide_t<T>;
    const long long channel = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    const long long whole = counts_whole ? *static_cast<const long long*>(count) + 1 : 0;
    const W number = counts_whole ? (W)whole : widen(*static_cast<const T*>(count)) + 1;
    if (channel == 0) {
        if (counts_whole) {
            *static_cast<long long*>(new_count) = whole;
        } else {
            *static_cast<T*>(new_count) = narrow<T>(number);
        }
    }
    if (channel >= channels) return;
    const W share = momentum < 0 ? 1 / number : (W)momentum;  // below 0 for all batches alike
    const W old_mean = widen(mean[channel]), old_variance = widen(variance[channel]);
    const W of_batch = read_factor<T>(batch_variance, wide, channel, 0) * (W)unbiased;
    new_mean[channel] = narrow<T>(old_mean + share * (read_factor<T>(batch_mean, wide, channel, 0) - old_mean));
    new_variance[channel] = narrow<T>(old_variance + share * (of_batch - old_variance));
}
