// Floating numbers of every width, and what the threads of a block work out together.
//
// Arithmetic is done in float, and in double for double: `widen` brings a number there, `narrow<T>` back.

struct float16 {
    unsigned short bits;
};
struct bfloat16 {
    unsigned short bits;
};

template <class T>
struct Wide {
    using type = float;
};
template <>
struct Wide<double> {
    using type = double;
};
template <class T>
using wide_t = typename Wide<T>::type;

#ifdef __CUDACC__
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
// The memory that a launch asks for, as an array of some type.
#define DYNAMIC_SHARED(type, name)                                  \
    extern __shared__ __align__(128) unsigned char memory_of_block[]; \
    type* name = reinterpret_cast<type*>(memory_of_block)

// Without CUDA's own header of half precision, which not every installation has.
__device__ inline float half_to_float(unsigned short bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}
__device__ inline unsigned short float_to_half(float x) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
#endif

__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }
__device__ inline float widen(float16 x) { return half_to_float(x.bits); }
__device__ inline float widen(bfloat16 x) { return __uint_as_float((unsigned)x.bits << 16); }

template <class T>
__device__ inline T narrow(wide_t<T> x) {
    return x;
}
template <>
__device__ inline float16 narrow<float16>(float x) {
    return {float_to_half(x)};
}
template <>
__device__ inline bfloat16 narrow<bfloat16>(float x) {
    const unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return {0x7fc0};                          // NaN
    return {(unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};  // to the nearest, and to even in between
}

// Whether 16 bytes can be read there at once.
__device__ inline bool is_aligned(const void* address) { return reinterpret_cast<unsigned long long>(address) % 16 == 0; }

// N neighbours in memory, read and written at once.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
    T values[N];
};

struct Sum {
    template <class W>
    __device__ W operator()(W a, W b) const {
        return a + b;
    }
};

// NaN, where there is one.
struct Maximum {
    template <class W>
    __device__ W operator()(W a, W b) const {
        return a > b || a != a ? a : b;
    }
};

template <class W, class Combine>
__device__ W reduce_warp(W x, Combine combine) {
    for (int distance = 16; distance; distance >>= 1) x = combine(x, __shfl_xor_sync(0xffffffff, x, distance));
    return x;
}

// What all threads of a row of the block have, combined; each of them gets it. A row is threadIdx.x: one warp, with as
// many rows as there are, or up to 32 warps in the one row of the block.
template <class W, class Combine>
__device__ W reduce_row(W x, Combine combine) {
    x = reduce_warp(x, combine);
    if (blockDim.x == 32) return x;
    __shared__ W of_warps[32];
    __syncthreads();  // the one before may still be read
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = x;
    __syncthreads();
    x = of_warps[0];
    for (int warp = 1; warp < blockDim.x / 32; ++warp) x = combine(x, of_warps[warp]);
    return x;
}
