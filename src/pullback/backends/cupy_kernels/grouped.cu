// Convolutions in many groups of few channels, such as depthwise ones: there is nothing to be shared by the rows of a
// tile, and each thread goes through the window of a place for N neighbouring channels.
#include "numbers.cuh"
#include "windows.cuh"

// The weight is (taps, ins, groups * outs) here, so that neighbouring threads read neighbours. N is 1 unless groups are
// of one channel each.
template <class T, int N, bool transposed>
__device__ void convolve(
    const T* x, const T* weight, const T* bias, T* y, long long images, AXES, long long groups, long long ins, long long outs
) {
    using V = wide_t<T>;
    using Vector = Pack<T, N>;
    const long long channels = groups * outs, packs = channels / N, image = to1 * to2 * to3;
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, place = i / packs, channel = i % packs * N;
    if (place >= images * image) return;
    const Axis axes[3] = GATHERED_AXES;
    const Walk walk(place, axes[0].to, axes[1].to, axes[2].to);
    Along along[3];
    int start[3];
#pragma unroll
    for (int k = 0; k < 3; ++k) {
        const int q = transposed ? walk.at[k] / axes[k].stride : walk.at[k];
        along[k] = Along::of<transposed>(axes[k], walk.at[k] - (transposed ? q * axes[k].stride : q));
        start[k] = along[k].start + q * along[k].step;
    }
    const long long wide = groups * ins, first = channel / outs * ins;
    V sums[N];
#pragma unroll
    for (int v = 0; v < N; ++v) sums[v] = bias ? (V)widen(bias[channel + v]) : (V)0;
    for (int t1 = 0; t1 < along[0].taps; ++t1) {
        const int at1 = start[0] + t1 * along[0].apart;
        if ((unsigned)at1 >= (unsigned)axes[0].from) continue;
        for (int t2 = 0; t2 < along[1].taps; ++t2) {
            const int at2 = start[1] + t2 * along[1].apart;
            if ((unsigned)at2 >= (unsigned)axes[1].from) continue;
            const long long line = (walk.image * axes[0].from + at1) * axes[1].from + at2;
            const int tap = (along[0].first + t1 * along[0].each) * axes[1].kernel + along[1].first + t2 * along[1].each;
#pragma unroll 4
            for (int t3 = 0; t3 < along[2].taps; ++t3) {
                const int at3 = start[2] + t3 * along[2].apart;
                if ((unsigned)at3 >= (unsigned)axes[2].from) continue;
                const T* from = x + (line * axes[2].from + at3) * wide + first;
                const T* by = weight + (tap * axes[2].kernel + along[2].first + t3 * along[2].each) * ins * channels + channel;
                if constexpr (N == 1) {
                    for (int c = 0; c < ins; ++c) sums[0] += (V)widen(from[c]) * (V)widen(by[c * channels]);
                } else {
                    const Vector values = *reinterpret_cast<const Vector*>(from);
                    const Vector factors = *reinterpret_cast<const Vector*>(by);
#pragma unroll
                    for (int v = 0; v < N; ++v) sums[v] += (V)widen(values.values[v]) * (V)widen(factors.values[v]);
                }
            }
        }
    }
    Vector pack;
#pragma unroll
    for (int v = 0; v < N; ++v) pack.values[v] = narrow<T>(sums[v]);
    *reinterpret_cast<Vector*>(y + place * channels + channel) = pack;
}

template <class T, int N>
__global__ void conv_grouped(
    const T* x, const T* weight, const T* bias, T* y, long long images, AXES, long long groups, long long ins, long long outs
) {
    convolve<T, N, false>(
        x, weight, bias, y, images, from1, from2, from3, to1, to2, to3, kernel1, kernel2, kernel3, stride1, stride2,
        stride3, dilation1, dilation2, dilation3, before1, before2, before3, groups, ins, outs
    );
}

template <class T, int N>
__global__ void conv_transpose_grouped(
    const T* x, const T* weight, const T* bias, T* y, long long images, AXES, long long groups, long long ins, long long outs
) {
    convolve<T, N, true>(
        x, weight, bias, y, images, from1, from2, from3, to1, to2, to3, kernel1, kernel2, kernel3, stride1, stride2,
        stride3, dilation1, dilation2, dilation3, before1, before2, before3, groups, ins, outs
    );
}

constexpr int TOGETHER = 9;  // how many elements of the kernel a block has the sums of

// For groups of one channel: the gradient with respect to the weight, as parts (splits, channels, taps). A block has 32
// packs of channels, and a part of the places; its rows of threads take turns at them.
template <class T, int N>
__global__ void __launch_bounds__(256) conv_weight_grouped(
    const T* x, const T* g, wide_t<T>* parts, long long images, AXES, long long channels, long long splits
) {
    using V = wide_t<T>;
    using Vector = Pack<T, N>;
    __shared__ V shared[8][32 * N];
    const Axis axes[3] = GATHERED_AXES;
    const long long chunks = (channels + 32 * N - 1) / (32 * N), places = images * to1 * to2 * to3;
    const int taps = (int)(kernel1 * kernel2 * kernel3);
    long long rest = blockIdx.x;
    const long long channel = rest % chunks * 32 * N + threadIdx.x * N;
    rest /= chunks;
    const int turns = (taps + TOGETHER - 1) / TOGETHER, first = (int)(rest % turns) * TOGETHER;
    const long long split = rest / turns;
    const long long each = (places + splits - 1) / splits, stop = min((split + 1) * each, places);

    V sums[TOGETHER][N] = {};
    if (channel < channels) {
        Walk walk(split * each + threadIdx.y, axes[0].to, axes[1].to, axes[2].to);
        for (long long place = split * each + threadIdx.y; place < stop; place += 8) {
            const Vector cotangent = *reinterpret_cast<const Vector*>(g + place * channels + channel);
            int tap[3] = {first / axes[2].kernel / axes[1].kernel, first / axes[2].kernel % axes[1].kernel, first % axes[2].kernel};
#pragma unroll
            for (int t = 0; t < TOGETHER; ++t) {
                long long from = walk.image;
                bool is_there = tap[0] < axes[0].kernel;
#pragma unroll
                for (int k = 0; k < 3; ++k) {
                    const int at = walk.at[k] * axes[k].stride + tap[k] * axes[k].dilation - axes[k].before;
                    is_there = is_there && (unsigned)at < (unsigned)axes[k].from;
                    from = from * axes[k].from + at;
                }
                if (is_there) {
                    const Vector values = *reinterpret_cast<const Vector*>(x + from * channels + channel);
#pragma unroll
                    for (int v = 0; v < N; ++v) sums[t][v] += (V)widen(values.values[v]) * (V)widen(cotangent.values[v]);
                }
                if (++tap[2] == axes[2].kernel) {
                    tap[2] = 0;
                    if (++tap[1] == axes[1].kernel) tap[1] = 0, ++tap[0];
                }
            }
            walk.advance(8, axes[0].to, axes[1].to, axes[2].to);
        }
    }
#pragma unroll
    for (int t = 0; t < TOGETHER; ++t) {
#pragma unroll
        for (int v = 0; v < N; ++v) shared[threadIdx.y][threadIdx.x * N + v] = sums[t][v];
        __syncthreads();
        if (threadIdx.y == 0 && channel < channels && first + t < taps) {
#pragma unroll
            for (int v = 0; v < N; ++v) {
                V sum = 0;
                for (int i = 0; i < 8; ++i) sum += shared[i][threadIdx.x * N + v];
                parts[(split * channels + channel + v) * taps + first + t] = sum;
            }
        }
        __syncthreads();
    }
}
