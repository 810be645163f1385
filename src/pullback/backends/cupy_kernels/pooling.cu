// Pooling and resampling of images of three spatial axes: tables say for each place along an axis of the result which
// places of the input its taps read. An axis of length 1 may have none. A thread has N neighbouring channels.
#include "numbers.cuh"
#include "windows.cuh"

// Which place the taps of one place read, along one axis.
struct Taps {
    const int* table;
    int count;

    __device__ Taps(const int* tables, int at, long long count) : table(tables ? tables + at * count : nullptr), count((int)count) {}
    __device__ int operator[](int tap) const { return table ? table[tap] : 0; }
};

// The place and the channels of a thread.
template <int N>
struct Here {
    long long place, channel;

    __device__ explicit Here(long long channels) {
        const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, packs = channels / N;
        place = i / packs;
        channel = (i - place * packs) * N;
    }
};

// The greatest element of each window, and the number of the tap that it is at, row by row; of several the first one,
// and of NaNs the last.
template <class T, int N, class Number>
__global__ void max_pool(
    const T* x, T* y, Number* numbers, const int* places1, const int* places2, const int* places3, long long images,
    OF_AXES(from), OF_AXES(to), OF_AXES(taps), long long channels
) {
    const Here<N> here(channels);
    if (here.place >= images * to1 * to2 * to3) return;
    const Walk walk(here.place, (int)to1, (int)to2, (int)to3);
    const Taps along1(places1, walk.at[0], taps1), along2(places2, walk.at[1], taps2), along3(places3, walk.at[2], taps3);
    Pack<T, N> best;
    Pack<Number, N> number;
    int tap = 0;
    for (int i = 0; i < along1.count; ++i) {
        for (int j = 0; j < along2.count; ++j) {
            const long long line = (walk.image * from1 + along1[i]) * from2 + along2[j];
            for (int k = 0; k < along3.count; ++k, ++tap) {
                const Pack<T, N> pack =
                    *reinterpret_cast<const Pack<T, N>*>(x + (line * from3 + along3[k]) * channels + here.channel);
#pragma unroll
                for (int v = 0; v < N; ++v) {
                    const wide_t<T> found = widen(pack.values[v]);
                    if (tap && !(found > (wide_t<T>)widen(best.values[v])) && found == found) continue;
                    best.values[v] = pack.values[v];
                    number.values[v] = (Number)tap;
                }
            }
        }
    }
    *reinterpret_cast<Pack<T, N>*>(y + here.place * channels + here.channel) = best;
    *reinterpret_cast<Pack<Number, N>*>(numbers + here.place * channels + here.channel) = number;
}

// Who reads a place, along one axis: pairs of a place of the result and its tap, from starts[at] to starts[at + 1].
struct Readers {
    const int *starts, *pairs;
    int begin, end;

    __device__ Readers(const int* starts, const int* pairs, int at)
        : starts(starts), pairs(pairs), begin(starts ? starts[at] : 0), end(starts ? starts[at + 1] : 1) {}
    __device__ int place(int i) const { return starts ? pairs[2 * i] : 0; }
    __device__ int tap(int i) const { return starts ? pairs[2 * i + 1] : 0; }
};

// Each place sums the updates of the windows that took it: none is written to twice, and the order is always the same.
template <class T, int N, class Number>
__global__ void max_unpool(
    const T* updates, const Number* numbers, T* x, const int* starts1, const int* starts2, const int* starts3,
    const int* pairs1, const int* pairs2, const int* pairs3, long long images, OF_AXES(from), OF_AXES(to), OF_AXES(taps),
    long long channels
) {
    const Here<N> here(channels);
    if (here.place >= images * from1 * from2 * from3) return;
    const Walk walk(here.place, (int)from1, (int)from2, (int)from3);
    const Readers along1(starts1, pairs1, walk.at[0]), along2(starts2, pairs2, walk.at[1]), along3(starts3, pairs3, walk.at[2]);
    wide_t<T> sums[N] = {};
    for (int i = along1.begin; i < along1.end; ++i) {
        for (int j = along2.begin; j < along2.end; ++j) {
            const long long line = (walk.image * to1 + along1.place(i)) * to2 + along2.place(j);
            const int tap = (int)((along1.tap(i) * taps2 + along2.tap(j)) * taps3);
            for (int k = along3.begin; k < along3.end; ++k) {
                const long long from = (line * to3 + along3.place(k)) * channels + here.channel;
                const Pack<Number, N> taken = *reinterpret_cast<const Pack<Number, N>*>(numbers + from);
                const Pack<T, N> update = *reinterpret_cast<const Pack<T, N>*>(updates + from);
#pragma unroll
                for (int v = 0; v < N; ++v)
                    if (taken.values[v] == tap + along3.tap(k)) sums[v] += widen(update.values[v]);
            }
        }
    }
    Pack<T, N> pack;
#pragma unroll
    for (int v = 0; v < N; ++v) pack.values[v] = narrow<T>(sums[v]);
    *reinterpret_cast<Pack<T, N>*>(x + here.place * channels + here.channel) = pack;
}

// The sums of taps with their weights, which tables give like their places.
template <class T, int N>
__global__ void resample(
    const T* x, T* y, const int* places1, const int* places2, const int* places3, const wide_t<T>* weights1,
    const wide_t<T>* weights2, const wide_t<T>* weights3, long long images, OF_AXES(from), OF_AXES(to), OF_AXES(taps),
    long long channels
) {
    using W = wide_t<T>;
    const Here<N> here(channels);
    if (here.place >= images * to1 * to2 * to3) return;
    const Walk walk(here.place, (int)to1, (int)to2, (int)to3);
    const Taps along1(places1, walk.at[0], taps1), along2(places2, walk.at[1], taps2), along3(places3, walk.at[2], taps3);
    W sums[N] = {};
    for (int i = 0; i < along1.count; ++i) {
        const W weight1 = weights1 ? weights1[walk.at[0] * taps1 + i] : (W)1;
        for (int j = 0; j < along2.count; ++j) {
            const W weight2 = weights2 ? weight1 * weights2[walk.at[1] * taps2 + j] : weight1;
            const long long line = (walk.image * from1 + along1[i]) * from2 + along2[j];
            for (int k = 0; k < along3.count; ++k) {
                const W weight = weights3 ? weight2 * weights3[walk.at[2] * taps3 + k] : weight2;
                if (weight == 0) continue;  // a tap that only fills its row of the table
                const Pack<T, N> pack =
                    *reinterpret_cast<const Pack<T, N>*>(x + (line * from3 + along3[k]) * channels + here.channel);
#pragma unroll
                for (int v = 0; v < N; ++v) sums[v] += weight * (W)widen(pack.values[v]);
            }
        }
    }
    Pack<T, N> pack;
#pragma unroll
    for (int v = 0; v < N; ++v) pack.values[v] = narrow<T>(sums[v]);
    *reinterpret_cast<Pack<T, N>*>(y + here.place * channels + here.channel) = pack;
}

// The same where there are many taps: a block takes one place and blockDim.x packs of channels, and its blockDim.y rows,
// a power of 2, share the taps. It has 512 threads at most.
template <class T, int N>
__global__ void __launch_bounds__(512) resample_many(
    const T* x, T* y, const int* places1, const int* places2, const int* places3, const wide_t<T>* weights1,
    const wide_t<T>* weights2, const wide_t<T>* weights3, long long images, OF_AXES(from), OF_AXES(to), OF_AXES(taps),
    long long channels
) {
    using W = wide_t<T>;
    __shared__ W shared[512][N];
    const long long wide = (long long)blockDim.x * N, chunks = (channels + wide - 1) / wide;
    const long long place = blockIdx.x / chunks, channel = blockIdx.x % chunks * wide + threadIdx.x * N;
    const Walk walk(place, (int)to1, (int)to2, (int)to3);
    const Taps along1(places1, walk.at[0], taps1), along2(places2, walk.at[1], taps2), along3(places3, walk.at[2], taps3);
    W sums[N] = {};
    const int all = channel < channels ? (int)(taps1 * taps2 * taps3) : 0;
#pragma unroll 4
    for (int tap = threadIdx.y; tap < all; tap += blockDim.y) {
        const int k = tap % along3.count, rest = tap / along3.count, j = rest % along2.count, i = rest / along2.count;
        W weight = weights1 ? weights1[walk.at[0] * taps1 + i] : (W)1;
        if (weights2) weight *= weights2[walk.at[1] * taps2 + j];
        if (weights3) weight *= weights3[walk.at[2] * taps3 + k];
        if (weight == 0) continue;
        const long long from = ((walk.image * from1 + along1[i]) * from2 + along2[j]) * from3 + along3[k];
        const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(x + from * channels + channel);
#pragma unroll
        for (int v = 0; v < N; ++v) sums[v] += weight * (W)widen(pack.values[v]);
    }
    const int mine = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
    for (int v = 0; v < N; ++v) shared[mine][v] = sums[v];
    for (int rows = blockDim.y / 2; rows; rows /= 2) {
        __syncthreads();
        if (threadIdx.y < rows)
#pragma unroll
            for (int v = 0; v < N; ++v) shared[mine][v] += shared[mine + rows * blockDim.x][v];
    }
    if (threadIdx.y || channel >= channels) return;
    Pack<T, N> pack;
#pragma unroll
    for (int v = 0; v < N; ++v) pack.values[v] = narrow<T>(shared[mine][v]);
    *reinterpret_cast<Pack<T, N>*>(y + place * channels + channel) = pack;
}

// Where in the flattened spatial axes of the input the taps of these numbers are.
template <class Number>
__global__ void find_places(
    const Number* numbers, long long* places, const int* places1, const int* places2, const int* places3, long long images,
    OF_AXES(from), OF_AXES(to), OF_AXES(taps), long long channels
) {
    const Here<1> here(channels);
    if (here.place >= images * to1 * to2 * to3) return;
    const Walk walk(here.place, (int)to1, (int)to2, (int)to3);
    const Taps along1(places1, walk.at[0], taps1), along2(places2, walk.at[1], taps2), along3(places3, walk.at[2], taps3);
    const long long i = here.place * channels + here.channel;
    const int tap = numbers[i], rest = tap / along3.count;
    const long long line = along1[rest / along2.count % along1.count] * from2 + along2[rest % along2.count];
    places[i] = line * from3 + along3[tap % along3.count];
}

// Elements of (images, length, channels) claim the places (images, size, channels) at their indices; the last one has it.
template <class Index>
__global__ void claim(const Index* indices, int* owners, long long images, long long length, long long size, long long channels) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, row = i / channels;
    if (row >= images * length) return;
    const long long image = row / length, place = indices[i];
    if (place < 0 || place >= size) return;  // nobody has looked at them before
    atomicMax(owners + (image * size + place) * channels + i % channels, (int)(row % length));
}

// To each place what claimed it, and 0 to the others.
template <class T>
__global__ void take_claimed(const T* x, const int* owners, T* y, long long images, long long length, long long size, long long channels) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, row = i / channels;
    if (row >= images * size) return;
    const int owner = owners[i];
    y[i] = owner < 0 ? T{} : x[(row / size * length + owner) * channels + i % channels];
}
