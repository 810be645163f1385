// Sums of which several blocks have a part each.
#include "numbers.cuh"

// The sum of parts (count, size) in their order, one thread for each number.
template <class T>
__global__ void sum_of_parts(const wide_t<T>* parts, T* sums, long long count, long long size) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    wide_t<T> sum = 0;
#pragma unroll 4
    for (long long part = 0; part < count; ++part) sum += parts[part * size + i];
    sums[i] = narrow<T>(sum);
}
