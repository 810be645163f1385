// Updates of optimizers, in place: parameters and state in flat buffers, gradients where they lie.
//
// A rule does the operations of its op in the same order, and is compiled without fused ones, so that the results are the
// same to the bit.
#include "numbers.cuh"
#include "parts.cuh"

template <class T>
__device__ T sign_of(T x) {
    return x > 0 ? T(1) : x < 0 ? T(-1) : x;  // of NaN, NaN
}

// What a rule sees of one element: the parameter and the state, which it changes, and of the state what there is.
template <class T>
struct Element {
    T parameter, gradient, state[3];
    bool has[3];
};

template <class T>
__device__ void average(T& mean, T value, double share) {
    mean = (T)share * mean + (T)(1 - share) * value;
}
template <class T>
__device__ void average_square(T& mean, T value, double share) {
    mean = (T)share * mean + (T)(1 - share) * value * value;
}
template <class T>
__device__ void decay(Element<T>& e, double share) {
    if (share != 0) e.gradient = e.gradient + (T)share * e.parameter;
}
template <class T>
__device__ void shrink(Element<T>& e, double factor) {
    if (factor != 1) e.parameter = e.parameter * (T)factor;
}

// The numbers of each rule come in the order in which optimizer.py names them.
struct Sgd {
    template <class T>
    __device__ void operator()(Element<T>& e, const double (&n)[8]) const {
        const double lr = n[0], momentum = n[1], dampening = n[2], nesterov = n[3];
        decay(e, n[4]);
        T direction = e.gradient;
        if (e.has[0]) {
            e.state[0] = (T)momentum * e.state[0] + (T)(1 - dampening) * e.gradient;
            direction = nesterov != 0 ? e.gradient + (T)momentum * e.state[0] : e.state[0];
        }
        e.parameter = e.parameter - (T)lr * direction;
    }
};

struct Adam {
    template <class T>
    __device__ void operator()(Element<T>& e, const double (&n)[8]) const {
        const double step_size = n[2], eps = n[3];
        decay(e, n[4]);
        average(e.state[0], e.gradient, n[0]);
        average_square(e.state[1], e.gradient, n[1]);
        if (e.has[2]) e.state[2] = Maximum()(e.state[2], e.state[1]);
        const T direction = e.state[0] / (sqrt(e.has[2] ? e.state[2] : e.state[1]) + (T)eps);
        shrink(e, n[5]);
        e.parameter = e.parameter - (T)step_size * direction;
    }
};

struct Nadam {
    template <class T>
    __device__ void operator()(Element<T>& e, const double (&n)[8]) const {
        const double gradient_size = n[2], average_size = n[3], eps = n[4];
        decay(e, n[5]);
        average(e.state[0], e.gradient, n[0]);
        average_square(e.state[1], e.gradient, n[1]);
        const T along = (T)gradient_size * e.gradient + (T)average_size * e.state[0];
        const T direction = along / (sqrt(e.state[1]) + (T)eps);
        shrink(e, n[6]);
        e.parameter = e.parameter - direction;
    }
};

struct Radam {
    template <class T>
    __device__ void operator()(Element<T>& e, const double (&n)[8]) const {
        const double step_size = n[2], eps = n[3], rectified = n[4];
        decay(e, n[5]);
        average(e.state[0], e.gradient, n[0]);
        average_square(e.state[1], e.gradient, n[1]);
        const T direction = rectified != 0 ? e.state[0] / (sqrt(e.state[1]) + (T)eps) : e.state[0];
        shrink(e, n[6]);
        e.parameter = e.parameter - (T)step_size * direction;
    }
};

struct Adamax {
    template <class T>
    __device__ void operator()(Element<T>& e, const double (&n)[8]) const {
        const double beta2 = n[1], step_size = n[2], eps = n[3];
        decay(e, n[4]);
        average(e.state[0], e.gradient, n[0]);
        e.state[1] = Maximum()((T)beta2 * e.state[1], abs(e.gradient) + (T)eps);
        e.parameter = e.parameter - (T)step_size * (e.state[0] / e.state[1]);
    }
};

struct Adadelta {
    template <class T>
    __device__ void operator()(Element<T>& e, const double (&n)[8]) const {
        const double lr = n[0], rho = n[1], eps = n[2];
        decay(e, n[3]);
        average_square(e.state[0], e.gradient, rho);
        const T delta = sqrt(e.state[1] + (T)eps) / sqrt(e.state[0] + (T)eps) * e.gradient;
        average_square(e.state[1], delta, rho);
        e.parameter = e.parameter - (T)lr * delta;
    }
};

struct Adagrad {
    template <class T>
    __device__ void operator()(Element<T>& e, const double (&n)[8]) const {
        const double lr = n[0], eps = n[1];
        decay(e, n[2]);
        e.state[0] = e.state[0] + e.gradient * e.gradient;
        e.parameter = e.parameter - (T)lr * (e.gradient / (sqrt(e.state[0]) + (T)eps));
    }
};

struct Rmsprop {
    template <class T>
    __device__ void operator()(Element<T>& e, const double (&n)[8]) const {
        const double lr = n[0], alpha = n[1], eps = n[2], momentum = n[3];
        decay(e, n[4]);
        average_square(e.state[0], e.gradient, alpha);
        T spread = e.state[0];
        if (e.has[2]) {
            average(e.state[2], e.gradient, alpha);
            spread = spread - e.state[2] * e.state[2];
        }
        T direction = e.gradient / (sqrt(spread) + (T)eps);
        if (e.has[1]) direction = e.state[1] = (T)momentum * e.state[1] + direction;
        e.parameter = e.parameter - (T)lr * direction;
    }
};

struct Lion {
    template <class T>
    __device__ void operator()(Element<T>& e, const double (&n)[8]) const {
        const double lr = n[0], beta1 = n[1], beta2 = n[2];
        T direction = e.state[0];
        average(direction, e.gradient, beta1);
        shrink(e, n[3]);
        e.parameter = e.parameter - (T)lr * sign_of(direction);
        average(e.state[0], e.gradient, beta2);
    }
};

// One element, or N neighbours at once: read, updated and written back.
template <class T, int N, class Rule>
__device__ void update_pack(long long i, const T* gradient, T* parameter, T* const (&state)[3], double factor,
                            const double (&numbers)[8]) {
    using Numbers = Pack<T, N>;
    Numbers parameters = *reinterpret_cast<const Numbers*>(parameter + i), states[3];
    const Numbers gradients = *reinterpret_cast<const Numbers*>(gradient + i);
#pragma unroll
    for (int s = 0; s < 3; ++s)
        if (state[s]) states[s] = *reinterpret_cast<const Numbers*>(state[s] + i);
#pragma unroll
    for (int k = 0; k < N; ++k) {
        Element<T> e;
        e.parameter = parameters.values[k];
        e.gradient = gradients.values[k] * (T)factor;
#pragma unroll
        for (int s = 0; s < 3; ++s) {
            e.has[s] = state[s] != nullptr;
            e.state[s] = e.has[s] ? states[s].values[k] : T(0);
        }
        Rule()(e, numbers);
        parameters.values[k] = e.parameter;
#pragma unroll
        for (int s = 0; s < 3; ++s) states[s].values[k] = e.state[s];
    }
    *reinterpret_cast<Numbers*>(parameter + i) = parameters;
#pragma unroll
    for (int s = 0; s < 3; ++s)
        if (state[s]) *reinterpret_cast<Numbers*>(state[s] + i) = states[s];
}

template <class T, class Rule>
__global__ void update(const long long* parts, T* parameter, T* state0, T* state1, T* state2, double factor, double n0, double n1,
                       double n2, double n3, double n4, double n5, double n6, double n7) {
    const Part<T> part(parts);
    constexpr int N = 16 / sizeof(T);
    const double numbers[8] = {n0, n1, n2, n3, n4, n5, n6, n7};
    T* const state[3] = {state0 ? state0 + part.start : nullptr, state1 ? state1 + part.start : nullptr,
                         state2 ? state2 + part.start : nullptr};
    parameter += part.start;
    // All flat buffers begin alike, so that the parameter's place tells of the state's too.
    const long long packs = is_aligned(parameter) && is_aligned(part.values) ? part.count / N : 0;
    for (long long k = threadIdx.x; k < packs; k += blockDim.x)
        update_pack<T, N, Rule>(k * N, part.values, parameter, state, factor, numbers);
    for (long long i = packs * N + threadIdx.x; i < part.count; i += blockDim.x)
        update_pack<T, 1, Rule>(i, part.values, parameter, state, factor, numbers);
}
