// Where the windows of convolutions lie: images of up to three spatial axes, and channels that come last.

// What every kernel is told of each axis: the lengths of what it reads and of what it writes, and the kernel.
#define OF_AXES(name) long long name##1, long long name##2, long long name##3
#define AXES                                                                                                     \
    OF_AXES(from), OF_AXES(to), OF_AXES(kernel), OF_AXES(stride), OF_AXES(dilation), OF_AXES(before)
#define GATHERED_AXES                                                                    \
    {                                                                                    \
        {(int)from1, (int)to1, (int)kernel1, (int)stride1, (int)dilation1, (int)before1}, \
        {(int)from2, (int)to2, (int)kernel2, (int)stride2, (int)dilation2, (int)before2}, \
        {(int)from3, (int)to3, (int)kernel3, (int)stride3, (int)dilation3, (int)before3}, \
    }

struct Axis {
    int from, to, kernel, stride, dilation, before;
};

// How a part of the places along an axis of the output read the input. The q-th of them, at phase + q * between, reads
// the places start + q * step + t * apart, for t below `taps`, with the kernel's elements first + t * each.
//
// A transposed convolution has a part for each remainder that a place leaves when divided by the stride: all places of
// one see the same elements of the kernel, and the others' products would be with zeros. Else all places are one part.
struct Along {
    int phase, between, places, taps, first, each, start, step, apart;

    template <bool transposed>
    __device__ static Along of(const Axis& axis, int phase) {
        if (!transposed) return {0, 1, axis.to, axis.kernel, 0, 1, -axis.before, axis.stride, axis.dilation};
        int common = axis.stride, rest = axis.dilation;  // their greatest common divisor
        while (rest) {
            const int next = common % rest;
            common = rest;
            rest = next;
        }
        const int each = axis.stride / common;
        int first = 0;
        while (first < axis.kernel && (phase + axis.before - first * axis.dilation) % axis.stride) ++first;
        return {
            phase,
            axis.stride,
            phase < axis.to ? (axis.to - 1 - phase) / axis.stride + 1 : 0,
            first < axis.kernel ? (axis.kernel - 1 - first) / each + 1 : 0,
            first,
            each,
            (phase + axis.before - first * axis.dilation) / axis.stride,
            1,
            -(axis.dilation / common),
        };
    }
};

// A place among all places of all images, which goes forwards.
struct Walk {
    long long image;
    int at[3];

    __device__ Walk(long long place, int length1, int length2, int length3) {
        const long long lengths = (long long)length1 * length2 * length3;
        image = place / lengths;
        int rest = (int)(place - image * lengths);
        at[2] = rest % length3;
        rest /= length3;
        at[1] = rest % length2;
        at[0] = rest / length2;
    }

    __device__ void advance(int by, int length1, int length2, int length3) {
        at[2] += by;
        while (at[2] >= length3) {
            at[2] -= length3;
            if (++at[1] < length2) continue;
            at[1] = 0;
            if (++at[0] < length1) continue;
            at[0] = 0;
            ++image;
        }
    }
};
