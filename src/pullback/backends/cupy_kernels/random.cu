// Random numbers, the same to the bit as on every backend: compiled with -fmad=false, so that each sum is rounded by
// itself. A thread makes what the four words of a block give.
#include "numbers.cuh"
#include "philox.cuh"

__device__ inline long long block_of_thread() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }

// Four values one after the other, at once where they are all there and lie as that takes.
template <class T>
__device__ void store(T* place, long long left, const T (&values)[4]) {
    if (left >= 4 && reinterpret_cast<unsigned long long>(place) % sizeof(Pack<T, 4>) == 0) {
        Pack<T, 4> pack;
#pragma unroll
        for (int k = 0; k < 4; ++k) pack.values[k] = values[k];
        *reinterpret_cast<Pack<T, 4>*>(place) = pack;
    } else {
        for (int k = 0; k < 4 && k < left; ++k) place[k] = values[k];
    }
}

template <class T>
__global__ void random_bits(T* bits, long long size, long long seed, long long offset) {
    const long long block = block_of_thread(), place = 4 * block;
    if (place >= size) return;
    unsigned long long words[4];
    philox(offset + block, seed, words);
    T values[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) values[k] = words[k];
    store(bits + place, size - place, values);
}

// Whether each word is above another.
template <class T>
__global__ void random_mask(T* mask, long long size, long long seed, long long offset, long long below) {
    const long long block = block_of_thread(), place = 4 * block;
    if (place >= size) return;
    unsigned long long words[4];
    philox(offset + block, seed, words);
    T values[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) values[k] = words[k] > (unsigned long long)below;
    store(mask + place, size - place, values);
}

// One of `count` whole numbers from `low` on.
template <class T>
__global__ void random_integers(T* numbers, long long size, long long seed, long long offset, long long low, long long count) {
    const long long block = block_of_thread(), place = 4 * block;
    if (place >= size) return;
    unsigned long long words[4];
    philox(offset + block, seed, words);
    T values[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) values[k] = (T)((long long)__umul64hi(words[k], count) + low);
    store(numbers + place, size - place, values);
}

// From double; to half precision by way of float.
template <class T>
__device__ T round_to(double x) {
    return narrow<T>((wide_t<T>)x);
}

// As many bits of a word are taken as the type has binary digits.
template <class T>
__global__ void random_uniform(T* out, long long size, long long seed, long long offset, long long digits, double low, double high) {
    const long long block = block_of_thread(), place = 4 * block;
    if (place >= size) return;
    const double scale = 1.0 / (1ULL << digits);
    const T first = round_to<T>(low), last = round_to<T>(high);
    unsigned long long words[4];
    philox(offset + block, seed, words);
    T values[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
        const double unit = (double)(words[k] >> (64 - digits)) * scale;
        values[k] = round_to<T>(unit * (high - low) + low);
        if (widen(values[k]) == widen(last)) values[k] = first;
    }
    store(out + place, size - place, values);
}

// The coefficients are given from the highest power down.
template <int N>
__device__ double polynomial(const double (&coefficients)[N], double x) {
    double total = coefficients[0];
#pragma unroll
    for (int k = 1; k < N; ++k) total = total * x + coefficients[k];
    return total;
}

// Two normal values for two words, see ops/random/distributions.py: these are its lines.
__device__ inline void normal_pair(unsigned long long distance, unsigned long long direction, double& x, double& y) {
    const long long root_half = __double_as_longlong(ROOT_HALF);
    const long long bits = __double_as_longlong(1 - (double)(long long)(distance >> 11) * 0x1p-53) - root_half;
    const double u = __longlong_as_double((bits & 0xFFFFFFFFFFFFF) + root_half);
    const double s = (u - 1) / (u + 1);
    const double square = s * polynomial({LOGARITHM}, s * s) - (double)(bits >> 52) * TWICE_LOG_2;

    const double quarters = (double)((long long)direction >> 11) * 0x1p-51;
    const double turns = rint(quarters), rest = quarters - turns;
    const double sine = rest * polynomial({SINE}, rest * rest);

    const double along = sqrt(square * (1 - sine * sine)), across = sqrt(square) * sine;
    const double to_right = 1 - fabs(turns), to_top = turns + turns * to_right;
    x = along * to_right - across * to_top;
    y = along * to_top + across * to_right;
}

// The words of the first half of the values are distances, those of the second half directions: a thread takes four of
// each, which for the latter may lie in two blocks.
template <class T>
__global__ void random_normal(T* out, long long size, long long seed, long long offset, double mean, double std) {
    const long long block = block_of_thread(), place = 4 * block, pairs = (size + 1) / 2;
    if (place >= pairs) return;
    const int skipped = pairs % 4;
    unsigned long long distances[4], directions[4], next[4];
    philox(offset + block, seed, distances);
    philox(offset + pairs / 4 + block, seed, directions);
    if (skipped) philox(offset + pairs / 4 + block + 1, seed, next);
    T first[4], second[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
        unsigned long long direction = directions[k];
#pragma unroll
        for (int shift = 1; shift < 4; ++shift)  // registers have no addresses
            if (skipped == shift) direction = k + shift < 4 ? directions[(k + shift) % 4] : next[(k + shift) % 4];
        double x, y;
        normal_pair(distances[k], direction, x, y);
        first[k] = round_to<T>(x * std + mean);
        second[k] = round_to<T>(y * std + mean);
    }
    store(out + place, pairs - place, first);
    store(out + pairs + place, size - pairs - place, second);
}
