// What is done to a weight before and after a convolution.
#include "numbers.cuh"

// A weight (groups, outs, taps, ins) as (groups, ins, taps, outs), by squares of 32 by 32.
template <class T>
__global__ void transpose_weight(const T* weight, T* transposed, long long groups, long long outs, long long taps, long long ins) {
    __shared__ T square[32][33];
    const long long tiles_of_ins = (ins + 31) / 32, tiles_of_outs = (outs + 31) / 32;
    long long rest = blockIdx.x;
    const long long in = rest % tiles_of_ins * 32;
    rest /= tiles_of_ins;
    const long long out = rest % tiles_of_outs * 32;
    rest /= tiles_of_outs;
    const long long tap = rest % taps, group = rest / taps;
    for (int i = threadIdx.y; i < 32; i += blockDim.y)
        if (out + i < outs && in + threadIdx.x < ins)
            square[i][threadIdx.x] = weight[((group * outs + out + i) * taps + tap) * ins + in + threadIdx.x];
    __syncthreads();
    for (int i = threadIdx.y; i < 32; i += blockDim.y)
        if (in + i < ins && out + threadIdx.x < outs)
            transposed[((group * ins + in + i) * taps + tap) * outs + out + threadIdx.x] = square[threadIdx.x][i];
}
