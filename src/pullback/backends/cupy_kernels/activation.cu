// Activation functions and their vjps, element by element.
//
// A new one is a line for its value, and one for its vjp, and its name in activation.py. There x is a number, for a vjp the
// input or the output, whichever the op's own lines take; g is the gradient, and a and b are what else the function takes.
#include "numbers.cuh"

template <class W>
__device__ W sigmoid_of(W x) {
    const W z = exp(-abs(x));  // never overflows
    return (x < 0 ? z : (W)1) / (1 + z);
}
template <class W>
__device__ W softplus_of(W x) {
    return (x < 0 ? (W)0 : x) + log1p(exp(-abs(x)));
}
template <class W>
__device__ W normal_below(W x) {
    return (W)0.5 * (1 + erf(x * (W)0.70710678118654752));
}
template <class W>
__device__ W gelu_tangent(W x) {
    return tanh((W)0.79788456080286536 * (x + (W)0.044715 * x * x * x));
}
template <class W>
__device__ W between(W x, W least, W most) {  // NaN stays NaN
    const W raised = x < least ? least : x;
    return raised > most ? most : raised;
}

// How many packs a thread takes, one after another: threads are enough that memory need not wait for any of them.
constexpr int packs_of_thread = 2;

// y = function(x, g) for `size` elements; without g where that is null.
template <class T, class Function>
__device__ void each_element(const T* g, const T* x, T* y, long long size, Function function) {
    using W = wide_t<T>;
    constexpr int N = 16 / sizeof(T);
    using Numbers = Pack<T, N>;
    const auto address = [](const T* p) { return reinterpret_cast<unsigned long long>(p); };
    const bool aligned = (address(g) | address(x) | address(y)) % 16 == 0;
    const long long packs = aligned ? size / N : 0, thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    long long pack = (long long)blockIdx.x * blockDim.x * packs_of_thread + threadIdx.x;
#pragma unroll 1
    for (int k = 0; k < packs_of_thread && pack < packs; ++k, pack += blockDim.x) {
        Numbers gs, xs = *reinterpret_cast<const Numbers*>(x + pack * N);
        if (g) gs = *reinterpret_cast<const Numbers*>(g + pack * N);
#pragma unroll
        for (int n = 0; n < N; ++n)
            xs.values[n] = narrow<T>(function((W)widen(xs.values[n]), g ? (W)widen(gs.values[n]) : (W)0));
        *reinterpret_cast<Numbers*>(y + pack * N) = xs;
    }
#pragma unroll 1
    for (long long i = packs * N + thread; i < size; i += (long long)gridDim.x * blockDim.x)
        y[i] = narrow<T>(function((W)widen(x[i]), g ? (W)widen(g[i]) : (W)0));
}

#define VALUE(name, ...)                                                                                               \
    template <class T>                                                                                                 \
    __global__ void __launch_bounds__(256) name##_value(const T* x, T* y, long long size, double first, double second) { \
        using W = wide_t<T>;                                                                                           \
        const W a = first, b = second;                                                                                 \
        each_element<T>(nullptr, x, y, size, [=](W x, W) -> W {                                                        \
            (void)a, (void)b;                                                                                          \
            return __VA_ARGS__;                                                                                        \
        });                                                                                                            \
    }
#define VJP(name, ...)                                                                                                 \
    template <class T>                                                                                                 \
    __global__ void __launch_bounds__(256) name##_vjp(const T* g, const T* x, T* y, long long size, double first, double second) { \
        using W = wide_t<T>;                                                                                           \
        const W a = first, b = second;                                                                                 \
        each_element<T>(g, x, y, size, [=](W x, W g) -> W {                                                            \
            (void)a, (void)b;                                                                                          \
            return __VA_ARGS__;                                                                                        \
        });                                                                                                            \
    }

VALUE(relu, x <= 0 ? (W)0 : x)
VJP(relu, x > 0 ? g : (W)0)  // of the output

VALUE(leaky_relu, x > 0 ? x : x * a)
VJP(leaky_relu, x > 0 ? g : g * a)

VALUE(threshold, x <= a ? b : x)
VJP(threshold, x <= a ? (W)0 : g)

VALUE(elu, x > 0 ? x : a * expm1(x))
VJP(elu, x > 0 ? g : g * a * exp(x))

VALUE(celu, x > 0 ? x : a * expm1(x / a))
VJP(celu, x > 0 ? g : g * exp(x / a))

VALUE(selu, x > 0 ? x * (W)1.0507009873554805 : (W)1.7580993408473766 * expm1(x))
VJP(selu, x > 0 ? g * (W)1.0507009873554805 : g * (W)1.7580993408473766 * exp(x))

VALUE(hardtanh, between(x, a, b))
VJP(hardtanh, x > a && x < b ? g : (W)0)

VALUE(hardsigmoid, between(x + 3, (W)0, (W)6) / 6)
VJP(hardsigmoid, x > -3 && x < 3 ? g / 6 : (W)0)

VALUE(hardswish, x * (between(x + 3, (W)0, (W)6) / 6))
VJP(hardswish, x >= 3 ? g : x > -3 ? g * (x / 3 + (W)0.5) : (W)0)

VALUE(hardshrink, abs(x) <= a ? (W)0 : x)
VJP(hardshrink, abs(x) <= a ? (W)0 : g)

VALUE(softshrink, x - between(x, -a, a))
VJP(softshrink, abs(x) <= a ? (W)0 : g)

VALUE(tanhshrink, x - tanh(x))
VJP(tanhshrink, g * (tanh(x) * tanh(x)))

VALUE(softsign, x / (1 + abs(x)))
VJP(softsign, g / ((1 + abs(x)) * (1 + abs(x))))

VALUE(tanh, tanh(x))
VJP(tanh, g * (1 - x * x))  // of the output

VALUE(sigmoid, sigmoid_of(x))
VJP(sigmoid, g * x * (1 - x))  // of the output

VALUE(logsigmoid, -softplus_of(-x))
VJP(logsigmoid, g * sigmoid_of(-x))

VALUE(softplus, a * x > b ? x : softplus_of(a * x) / a)
VJP(softplus, a * x > b ? g : g * sigmoid_of(a * x))

VALUE(silu, x * sigmoid_of(x))
VJP(silu, g * sigmoid_of(x) * (1 + x * (1 - sigmoid_of(x))))

VALUE(mish, x * tanh(softplus_of(x)))
VJP(mish, g * (tanh(softplus_of(x)) + x * (1 - tanh(softplus_of(x)) * tanh(softplus_of(x))) * sigmoid_of(x)))

VALUE(gelu, x * normal_below(x))
VJP(gelu, g * (normal_below(x) + x * (exp((W)-0.5 * x * x) * (W)0.39894228040143268)))

VALUE(gelu_tanh, (W)0.5 * x * (1 + gelu_tangent(x)))
VJP(gelu_tanh, g * (W)0.5 * (1 + gelu_tangent(x) + x * (1 - gelu_tangent(x) * gelu_tangent(x)) * ((W)0.79788456080286536 + (W)0.10703222440890037 * x * x)))
