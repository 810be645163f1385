// A GPU's blocks on the processor: what CUDA sources take for granted, in plain C++.
//
// The threads of a block are fibers that take turns. Each runs until it waits for others: at a barrier, or where the
// lanes of a warp exchange values. That is every order that the sources may rely on, and no more: run forwards and then
// backwards, threads that read what others have not yet written, without a barrier between, give different results.
#pragma once
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __restrict__
#define __constant__ static const
#define __shared__ static
#define __align__(bytes) alignas(bytes)
#define __launch_bounds__(...)
#define __grid_constant__

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

namespace emulated {

struct Barrier {
    int arrived = 0;
    long generation = 0;
};

struct Fiber {
    ucontext_t start;
    jmp_buf paused;  // where it goes on: a jump asks nothing of the operating system, as another context would
    std::vector<char> stack;
    dim3 place;
    bool started = false, finished = false;
};

struct Warp {
    Barrier barrier;
    int alive = 0;
    unsigned lanes = 0;  // those that have not left
    alignas(16) unsigned char slots[32][64];
};

static std::vector<Fiber> fibers;
static std::vector<Warp> warps;
static std::vector<unsigned char> memory_of_block;
static jmp_buf scheduler;
static Barrier of_block;
static int alive, current;
static long progress;
static const char* failure;
static void (*body)(void*);
static void* body_argument;

struct Copy {
    void* to;
    const void* from;
    int bytes;
};
static std::vector<std::vector<std::vector<Copy>>> copies;  // of each thread, by group; the last one is not yet whole

inline int rank() { return current; }
inline int lane() { return current % 32; }
inline Warp& warp() { return warps[current / 32]; }

inline void pause() {
    if (!_setjmp(fibers[current].paused)) _longjmp(scheduler, 1);
}

inline void fail(const char* reason) {
    failure = reason;
    pause();  // and is never resumed
}

inline void wait(Barrier& barrier, const int& expected) {
    const long generation = barrier.generation;
    ++barrier.arrived;
    ++progress;
    while (barrier.generation == generation) {
        if (barrier.arrived >= expected) {
            barrier.arrived = 0;
            ++barrier.generation;
            ++progress;
        } else {
            pause();
        }
    }
}

// What each lane gives, for every lane to see until the next exchange.
template <class T>
inline void exchange(unsigned mask, const T& given) {
    static_assert(sizeof(T) <= 64, "a lane gives 64 bytes at most");
    Warp& mine = warp();
    if (!(mask >> lane() & 1)) fail("a lane exchanges values with a mask that leaves it out");
    if (mask & ~mine.lanes) fail("lanes exchange values with one that has left the kernel");
    if (mask != mine.lanes) fail("some lanes of a warp exchange values without the others; the emulation knows only all");
    std::memcpy(mine.slots[lane()], &given, sizeof(T));
    wait(mine.barrier, mine.alive);
}
inline void exchanged() { wait(warp().barrier, warp().alive); }

template <class T>
inline T of_lane(int lane) {
    T value;
    std::memcpy(&value, warp().slots[lane], sizeof(T));
    return value;
}

// One thread after the other, of one block after the other.
inline void enter() {
    for (;;) {
        body(body_argument);
        fibers[current].finished = true;
        --alive;
        --warp().alive;
        warp().lanes &= ~(1u << lane());
        ++progress;
        pause();
    }
}

// The current fiber runs until it pauses.
inline void resume() {
    Fiber& fiber = fibers[current];
    if (_setjmp(scheduler)) return;
    if (fiber.started) _longjmp(fiber.paused, 1);
    fiber.started = true;
    fiber.stack.resize(64 << 10);
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack.data();
    fiber.start.uc_stack.ss_size = fiber.stack.size();
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, (void (*)())enter, 0);
    setcontext(&fiber.start);
}

// One block: 0, or what is wrong with it.
inline const char* run_block(bool backwards) {
    const int threads = blockDim.x * blockDim.y * blockDim.z;
    if ((int)fibers.size() < threads) fibers.resize(threads);
    warps.assign((threads + 31) / 32, Warp());
    of_block = Barrier();
    copies.resize(threads);
    alive = threads;
    failure = nullptr;
    for (int i = 0; i < threads; ++i) {
        Fiber& fiber = fibers[i];
        fiber.finished = false;
        fiber.place = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        copies[i].resize(1);
        copies[i].front().clear();
        ++warps[i / 32].alive;
        warps[i / 32].lanes |= 1u << i % 32;
    }
    while (alive) {
        const long before = progress;
        for (int k = 0; k < threads; ++k) {
            current = backwards ? threads - 1 - k : k;
            if (fibers[current].finished) continue;
            threadIdx = fibers[current].place;
            resume();
            if (failure) break;
        }
        if (!failure && alive && progress == before) failure = "some threads wait at a barrier that the others never reach";
        if (failure) {
            fibers.clear();  // which are in the midst of it
            return failure;
        }
    }
    return nullptr;
}

template <class... A, std::size_t... I>
const char* run(void (*kernel)(A...), void** given, std::index_sequence<I...>, const int* shape, long shared, bool backwards) {
    struct Call {
        void (*kernel)(A...);
        void** given;
    } call{kernel, given};
    body = [](void* argument) {
        Call& call = *static_cast<Call*>(argument);
        call.kernel(*static_cast<std::remove_const_t<A>*>(call.given[I])...);
    };
    body_argument = &call;
    gridDim = {(unsigned)shape[0], (unsigned)shape[1], (unsigned)shape[2]};
    blockDim = {(unsigned)shape[3], (unsigned)shape[4], (unsigned)shape[5]};
    memory_of_block.resize(shared + 128);
    const long blocks = (long)shape[0] * shape[1] * shape[2];
    for (long k = 0; k < blocks; ++k) {
        const long block = backwards ? blocks - 1 - k : k;
        blockIdx = {unsigned(block % gridDim.x), unsigned(block / gridDim.x % gridDim.y), unsigned(block / ((long)gridDim.x * gridDim.y))};
        std::memset(memory_of_block.data(), 0xff, memory_of_block.size());  // NaN, to be written before it is read
        const char* wrong = run_block(backwards);
        if (wrong) return wrong;
    }
    return nullptr;
}

template <class... A>
const char* launch(void (*kernel)(A...), void** given, int count, const int* shape, long shared, bool backwards) {
    if (count != (int)sizeof...(A)) return "the kernel takes another number of arguments";
    return run(kernel, given, std::index_sequence_for<A...>(), shape, shared, backwards);
}

// How the arguments are to be passed: p for a pointer, i for a 64-bit integer, d for a double, ? for what is not allowed.
template <class A>
constexpr char kind_of() {
    if (std::is_pointer_v<A>) return 'p';
    if (std::is_same_v<std::remove_const_t<A>, long long>) return 'i';
    if (std::is_same_v<std::remove_const_t<A>, double>) return 'd';
    return '?';
}
template <class... A>
const char* kinds(void (*)(A...)) {
    static const char text[] = {kind_of<A>()..., 0};
    return text;
}

}  // namespace emulated

#define DYNAMIC_SHARED(type, name) \
    type* name = reinterpret_cast<type*>((reinterpret_cast<std::uintptr_t>(emulated::memory_of_block.data()) + 127) & ~std::uintptr_t(127))

inline void __syncthreads() { emulated::wait(emulated::of_block, emulated::alive); }
inline void __syncwarp(unsigned mask = 0xffffffff) {
    emulated::exchange(mask & emulated::warp().lanes, 0);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    emulated::exchange(mask, value);
    const int base = emulated::lane() / width * width;
    value = emulated::of_lane<T>(base + (source & (width - 1)));
    emulated::exchanged();
    return value;
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32) {
    return __shfl_sync(mask, value, emulated::lane() ^ distance, 32);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    const int from = emulated::lane() + distance;
    return __shfl_sync(mask, value, from / width == emulated::lane() / width ? from : emulated::lane(), 32);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    const int from = emulated::lane() - (int)distance;
    return __shfl_sync(mask, value, from >= emulated::lane() / width * width ? from : emulated::lane(), 32);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    emulated::exchange(mask, predicate);
    unsigned found = 0;
    for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1 && emulated::of_lane<int>(lane)) found |= 1u << lane;
    emulated::exchanged();
    return found;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }
inline int __syncthreads_or(int predicate) {
    static int found;
    __syncthreads();
    found = 0;
    __syncthreads();
    found |= predicate != 0;
    __syncthreads();
    return found;
}

template <class T>
inline T atomicAdd(T* place, T value) {
    T before = *place;
    *place = before + value;
    return before;
}
template <class T>
inline T atomicMax(T* place, T value) {
    T before = *place;
    if (value > before) *place = value;
    return before;
}
template <class T>
inline T atomicOr(T* place, T value) {
    T before = *place;
    *place = before | value;
    return before;
}
template <class T>
inline T atomicExch(T* place, T value) {
    return std::exchange(*place, value);
}
template <class T>
inline T atomicCAS(T* place, T compare, T value) {
    T before = *place;
    if (before == compare) *place = value;
    return before;
}
template <class T>
inline T __ldg(const T* place) {
    return *place;
}

template <class To, class From>
inline To same_bits(From x) {
    static_assert(sizeof(To) == sizeof(From));
    To y;
    std::memcpy(&y, &x, sizeof(To));
    return y;
}
inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }
inline float __int_as_float(int x) { return same_bits<float>(x); }
inline int __float_as_int(float x) { return same_bits<int>(x); }
inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }

using std::abs, std::erf, std::exp, std::exp2, std::expm1, std::floor, std::fma, std::isfinite, std::isinf, std::isnan, std::log,
    std::log1p, std::log2, std::pow, std::sqrt, std::tanh;
inline float rsqrt(float x) { return 1 / std::sqrt(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float exp2_approximate(float x) { return std::exp2(x); }
// CUDA has these for every pair of arithmetic types.
template <class A, class B>
inline std::common_type_t<A, B> min(A a, B b) {
    return b < a ? b : a;
}
template <class A, class B>
inline std::common_type_t<A, B> max(A a, B b) {
    return a < b ? b : a;
}

// Half precision in float: exact one way, and the other way to the nearest, and to even in between.
inline float half_to_float(unsigned short bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float size = exponent == 31  ? (fraction ? NAN : INFINITY)
                       : exponent == 0 ? std::ldexp((float)fraction, -24)
                                       : std::ldexp((float)(fraction + 1024), exponent - 25);
    return bits >> 15 ? -size : size;
}
inline unsigned short float_to_half(float x) {
    const unsigned sign = __float_as_uint(x) >> 16 & 0x8000;
    const float size = std::fabs(x);
    if (std::isnan(x)) return sign | 0x7e00;
    if (size >= 65520) return sign | 0x7c00;
    int exponent;
    std::frexp(size, &exponent);
    if (size == 0 || exponent < -13) return sign | (unsigned)std::nearbyint(std::ldexp(size, 24));
    return sign | (((unsigned)(exponent + 14) << 10) + (unsigned)std::nearbyint(std::ldexp(size, 11 - exponent)) - 1024);
}

// Tensor cores: see tensor_cores.cuh.
namespace emulated {

inline void load(unsigned (&fragment)[4], const void* row, bool transposed) {
    exchange(warp().lanes, row);
    for (int matrix = 0; matrix < 4; ++matrix) {
        unsigned short pair[2];
        for (int k = 0; k < 2; ++k) {
            const int i = lane() / 4, j = 2 * (lane() % 4) + k;
            const void* from = of_lane<const void*>(matrix * 8 + (transposed ? j : i));
            if ((std::uintptr_t)from % 16) fail("a row of a matrix does not begin at a multiple of 16 bytes");
            pair[k] = static_cast<const unsigned short*>(from)[transposed ? i : j];
        }
        fragment[matrix] = pair[0] | (unsigned)pair[1] << 16;
    }
    exchanged();
}

template <class T>
inline float number_of(unsigned pair, int which) {
    static std::vector<float> numbers;  // of all bits
    if (numbers.empty())
        for (unsigned bits = 0; bits < 65536; ++bits) numbers.push_back(widen(T{(unsigned short)bits}));
    return numbers[which ? pair >> 16 : pair & 0xffff];
}

}  // namespace emulated

inline void load_matrices(unsigned (&fragment)[4], const void* row) { emulated::load(fragment, row, false); }
inline void load_transposed(unsigned (&fragment)[4], const void* row) { emulated::load(fragment, row, true); }

template <class T>
inline void multiply_add(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    struct Numbers {
        float a[8], b[4];
    } mine;
    for (int k = 0; k < 8; ++k) mine.a[k] = emulated::number_of<T>(a[k / 2], k % 2);
    for (int k = 0; k < 4; ++k) mine.b[k] = emulated::number_of<T>(k / 2 ? b1 : b0, k % 2);
    emulated::exchange(emulated::warp().lanes, mine);
    for (int at = 0; at < 16; at += 2) {
        const int lane = at % 8 / 2, right = at / 8;
        for (int row = 0; row < 2; ++row) {
            const Numbers& left = reinterpret_cast<Numbers&>(emulated::warp().slots[emulated::lane() / 4 * 4 + lane]);
            for (int column = 0; column < 2; ++column) {
                const int of = (emulated::lane() % 4 * 2 + column) * 4 + lane;
                const Numbers& down = reinterpret_cast<Numbers&>(emulated::warp().slots[of]);
                for (int k = 0; k < 2; ++k) sum[2 * row + column] += left.a[4 * right + 2 * row + k] * down.b[2 * right + k];
            }
        }
    }
    emulated::exchanged();
}

// Of numbers.cuh.
template <class T>
struct Wide;
template <class T>
T narrow(typename Wide<T>::type);

template <class T>
inline unsigned pair_of(float first, float second) {
    struct {
        T numbers[2];
    } pair = {{narrow<T>(first), narrow<T>(second)}};
    return same_bits<unsigned>(pair);
}

// Copies come when they are waited for, and no sooner.
template <int bytes>
inline void copy_later(void* to, const void* from, bool is_there) {
    static_assert(bytes == 4 || bytes == 8 || bytes == 16, "4, 8 or 16 bytes are copied at once");
    if (((std::uintptr_t)to | (is_there ? (std::uintptr_t)from : 0)) % bytes) emulated::fail("a copy is from or to a place that is no multiple of its size");
    emulated::copies[emulated::rank()].back().push_back({to, is_there ? from : nullptr, bytes});
}
inline void end_group_of_copies() { emulated::copies[emulated::rank()].emplace_back(); }
template <int but>
inline void wait_for_copies() {
    auto& groups = emulated::copies[emulated::rank()];
    while ((int)groups.size() > but + 1) {
        for (const emulated::Copy& copy : groups.front()) {
            if (copy.from) std::memcpy(copy.to, copy.from, copy.bytes);
            else std::memset(copy.to, 0, copy.bytes);
        }
        groups.erase(groups.begin());
    }
}
