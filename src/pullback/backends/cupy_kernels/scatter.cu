// Adding by index, always in the same order: that of the updates.
//
// Keys, a place and the number of an update that goes there in one integer, are sorted; so the updates of one place follow
// each other. They are added up in stretches of a fixed length: what lies in one stretch at once, and what goes on in the
// next by a second kernel, so that a place to which all goes takes no longer than it must.
#include "numbers.cuh"

constexpr int stretch = 32;

// Integers are added as long long, all else as double.
template <class T>
__device__ void read_to(double& sum, T x) {
    sum = widen(x);
}
template <class T>
__device__ void read_to(long long& sum, T x) {
    sum = x;
}
template <class T>
__device__ void write_to(T* place, double sum) {
    *place = narrow<T>((wide_t<T>)sum);
}
template <class T>
__device__ void write_to(T* place, long long sum) {
    *place = (T)sum;
}

// Sorted keys, in int or long long: the number of the update is in the last bits.
struct Keys {
    const void* keys;
    long long narrow, bits, count, places;

    __device__ long long at(long long i) const {
        return narrow ? static_cast<const int*>(keys)[i] : static_cast<const long long*>(keys)[i];
    }
    __device__ long long place(long long i) const { return at(i) >> bits; }
    __device__ long long update(long long key) const { return key & ((1ll << bits) - 1); }

    // Whether the updates on both sides of a place in the order go to one place.
    __device__ bool goes_on(long long i) const { return i > 0 && i < count && place(i - 1) == place(i); }
};

// The key of each update. Updates and indices are (outer, count, inner) and go to (outer, length, inner), each element for
// itself; those whose index is outside go behind the last place.
template <class T, class Sum>
__global__ void mark(const void* indices, void* keys, long long outer, long long count, long long length, long long inner,
                     long long bits, long long narrow_indices, long long narrow_keys) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= outer * count * inner) return;
    long long index = narrow_indices ? static_cast<const int*>(indices)[i] : static_cast<const long long*>(indices)[i];
    if (index < 0) index += length;
    const bool outside = index < 0 || index >= length;
    const long long before = i / (count * inner);
    const long long place = outside ? outer * length * inner : (before * length + index) * inner + i % inner;
    const long long key = place << bits | i;
    if (narrow_keys) {
        static_cast<int*>(keys)[i] = (int)key;
    } else {
        static_cast<long long*>(keys)[i] = key;
    }
}

// Where a thread is: one column of one of the outer arrays, and a stretch of the keys.
struct Spot {
    long long outer, column, number, first, stop;
    bool inside;

    __device__ Spot(const Keys& keys, long long arrays, long long columns) {
        const long long tiles = (columns + blockDim.x - 1) / blockDim.x, stretches = (keys.count + stretch - 1) / stretch;
        const long long groups = (stretches + blockDim.y - 1) / blockDim.y, block = blockIdx.x;
        column = block % tiles * blockDim.x + threadIdx.x;
        number = block / tiles % groups * blockDim.y + threadIdx.y;
        outer = block / (tiles * groups);
        first = number * stretch;
        stop = min(first + stretch, keys.count);
        inside = column < columns && number < stretches;
    }
    // Where a stretch's sum stands, (outer, stretches, columns).
    __device__ long long part(const Keys& keys, long long columns, long long number) const {
        return (outer * ((keys.count + stretch - 1) / stretch) + number) * columns + column;
    }
};

// The sums of places whose updates lie in one stretch; of others what a stretch has of the place that it begins with, in
// `firsts`, or of one that goes on behind it, in `lasts`. Updates are (outer, count, columns).
template <class T, class Sum>
__global__ void add_stretches(const void* sorted, const T* updates, T* y, Sum* firsts, Sum* lasts, long long outer, long long count,
                              long long places, long long columns, long long bits, long long narrow) {
    const Keys keys{sorted, narrow, bits, count, places};
    const Spot spot(keys, outer, columns);
    if (!spot.inside) return;
    updates += spot.outer * count * columns + spot.column;
    y += spot.outer * places * columns + spot.column;
    bool goes_on = keys.goes_on(spot.first);
    Sum sum = 0;
    constexpr int together = 4;  // are asked for before the first is added
    for (long long i = spot.first; i < spot.stop; i += together) {
        long long found[together];
        Sum values[together];
#pragma unroll
        for (int k = 0; k < together; ++k) {
            if (i + k >= spot.stop) continue;
            found[k] = keys.at(i + k);
            read_to(values[k], updates[keys.update(found[k]) * columns]);
        }
#pragma unroll
        for (int k = 0; k < together; ++k) {
            if (i + k >= spot.stop) continue;
            sum += values[k];
            const bool ends_here = i + k + 1 == spot.stop, more = keys.goes_on(i + k + 1);
            if (more && !ends_here) continue;
            const long long place = found[k] >> bits;
            if (goes_on) {
                firsts[spot.part(keys, columns, spot.number)] = sum;
            } else if (more) {
                lasts[spot.part(keys, columns, spot.number)] = sum;
            } else if (place < places) {
                write_to(y + place * columns, sum);
            }
            goes_on = false;
            sum = 0;
        }
    }
}

// The sums of places whose updates lie in several stretches.
template <class T, class Sum>
__global__ void join_stretches(const void* sorted, T* y, const Sum* firsts, const Sum* lasts, long long outer, long long count,
                               long long places, long long columns, long long bits, long long narrow) {
    const Keys keys{sorted, narrow, bits, count, places};
    const Spot spot(keys, outer, columns);
    if (!spot.inside || !keys.goes_on(spot.stop)) return;
    const long long place = keys.place(spot.stop);
    if (place >= places || (keys.goes_on(spot.first) && keys.place(spot.first) == place)) return;  // it begins before
    Sum sum = lasts[spot.part(keys, columns, spot.number)];
    for (long long number = spot.number + 1; keys.goes_on(number * stretch) && keys.place(number * stretch) == place; ++number)
        sum += firsts[spot.part(keys, columns, number)];
    write_to(y + (spot.outer * places + place) * columns + spot.column, sum);
}
