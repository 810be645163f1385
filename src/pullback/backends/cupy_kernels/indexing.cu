// Reading by index, whatever the numbers are: they are copied in units of 1 to 16 bytes. Where an index is outside, all bits
// are set: floating numbers are NaN there, since nobody else looks at the indices.

struct alignas(16) Sixteen {
    unsigned long long halves[2];
};

template <class Unit>
__device__ Unit nothing() {
    return (Unit)~(Unit)0;
}
template <>
__device__ Sixteen nothing<Sixteen>() {
    return {{~0ull, ~0ull}};
}

// A place along an axis of some length, or -1 for none. Indices are int or long long; with `wraps` they count from the end
// where they are below 0.
__device__ inline long long read_place(const void* indices, long long narrow, long long i, long long length, long long wraps) {
    long long place = narrow ? static_cast<const int*>(indices)[i] : static_cast<const long long*>(indices)[i];
    if (wraps && place < 0) place += length;
    return place < 0 || place >= length ? -1 : place;
}

// x is (outer, length0 * length1 * length2, inner) and y (outer, count, inner): the rows with these numbers, or with those
// that up to three indices along so many axes are together.
template <class Unit>
__global__ void gather_rows(const Unit* x, const void* indices0, const void* indices1, const void* indices2, Unit* y, long long outer,
                            long long count, long long length0, long long length1, long long length2, long long inner,
                            long long narrow, long long wraps) {
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= outer * count) return;
    const long long before = outer == 1 ? 0 : row / count, i = row - before * count;
    long long place = read_place(indices0, narrow, i, length0, wraps);
    if (indices1) {
        const long long next = read_place(indices1, narrow, i, length1, wraps);
        place = place < 0 || next < 0 ? -1 : place * length1 + next;
    }
    if (indices2) {
        const long long next = read_place(indices2, narrow, i, length2, wraps);
        place = place < 0 || next < 0 ? -1 : place * length2 + next;
    }
    const Unit* from = x + (before * (length0 * length1 * length2) + place) * inner;
    for (long long k = threadIdx.x; k < inner; k += blockDim.x) y[row * inner + k] = place < 0 ? nothing<Unit>() : from[k];
}

// x is (outer, length, inner), y and the indices are (outer, count, inner): each element has an index of its own.
template <class Unit>
__global__ void gather_elements(const Unit* x, const void* indices, Unit* y, long long outer, long long count, long long length,
                                long long inner, long long narrow) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= outer * count * inner) return;
    const long long place = read_place(indices, narrow, i, length, 1), before = i / (count * inner);
    y[i] = place < 0 ? nothing<Unit>() : x[(before * length + place) * inner + i % inner];
}
