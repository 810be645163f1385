// What all kernels of attention share: where matrices lie, which part of the work is a block's, and how the product of a
// query and a key becomes a score.
#include "numbers.cuh"
#include "philox.cuh"

// An array (outer, heads, rows, columns): its rows lie without gaps, all else by steps. In a kernel's parameters it is
// MATRICES(type, name), and from there on THESE(name).
#define MATRICES(type, name) type *name, long long name##_outer, long long name##_head, long long name##_row
#define THESE(name) \
    { name, name##_outer, name##_head, name##_row }
template <class T>
struct Matrices {
    T* values;
    long long outer, head, row;
    __device__ T* of(int which_outer, int which_head) const {
        return values + which_outer * outer + which_head * head;
    }
};

// What else a call says. mask: null for none. mask_kind: 0 for booleans, 1 for numbers of the arrays' type, 2 for those
// of arithmetic. shared: how many heads of queries share a key. start: the first query's place among the keys.
// dropout: how many of the generator's 2^24 (of double, 2^53) numbers are dropped; growth: what the others grow by.
// aligned: whether every row of every matrix begins at a multiple of 16 bytes and is so many long.
#define CALL_PARAMETERS                                                                                            \
    const void *mask, long long mask_kind, long long mask_outer, long long mask_head, long long mask_row,          \
        long long mask_key, long long heads, long long shared, long long rows, long long keys, long long width,    \
        long long value_width, double scale, long long is_causal, long long start, long long seed, long long drawn, \
        long long dropout, double growth, long long aligned
#define THE_CALL                                                                                                   \
    {                                                                                                              \
        mask, (int)mask_kind, mask_outer, mask_head, mask_row, mask_key, (int)heads, (int)shared, (int)rows,       \
            (int)keys, (int)width, (int)value_width, (wide_t<T>)scale, is_causal != 0, (int)start, seed, drawn,    \
            dropout, (wide_t<T>)growth, aligned != 0                                                               \
    }

template <class T>
struct Call {
    using W = wide_t<T>;
    const void* mask;
    int mask_kind;
    long long mask_outer, mask_head, mask_row, mask_key;
    int heads, shared, rows, keys, width, value_width;
    W scale;
    bool is_causal;
    int start;
    long long seed, drawn, dropout;
    W growth;
    bool aligned;

    // How many keys the queries before `last` reach.
    __device__ int keys_before(int last) const {
        return is_causal ? max(0, min(keys, min(last, rows) + start)) : keys;
    }

    // The first query that reaches a key; beyond all of them where there is no such key.
    __device__ int first_to_reach(int key) const {
        return key >= keys ? rows : is_causal ? max(0, key - start) : 0;
    }

    // A score once the mask of its head is added to it.
    __device__ W masked(W score, const void* of_head, int row, int key) const {
        if (row >= rows || key >= keys) return score;
        const long long place = row * mask_row + key * mask_key;
        if (mask_kind == 0) return static_cast<const unsigned char*>(of_head)[place] ? score : (W)-INFINITY;
        if (mask_kind == 1) return score + widen(static_cast<const T*>(of_head)[place]);
        return score + static_cast<const W*>(of_head)[place];
    }

    __device__ const void* mask_of(int outer, int head) const {
        const int size = mask_kind == 0 ? 1 : mask_kind == 1 ? sizeof(T) : sizeof(W);
        return mask ? static_cast<const char*>(mask) + (outer * mask_outer + head * mask_head) * size : nullptr;
    }

    // A bit for each of four keys, the first a multiple of four: whether dropout keeps its weight. A row of all
    // matrices begins at a block of the generator's own, of four words; `matrix` of `matrices` is the head's number.
    __device__ unsigned kept(long long matrix, long long matrices, int row, int key) const {
        const long long blocks = (keys + 3) / 4;
        unsigned long long words[4];
        philox(drawn + (row * matrices + matrix) * blocks + key / 4, seed, words);
        unsigned bits = 0;
#pragma unroll
        for (int k = 0; k < 4; ++k)
            bits |= (unsigned)((long long)(words[k] >> (sizeof(W) == 8 ? 11 : 40)) >= dropout) << k;
        return bits;
    }
};

// The tile of rows and the head that a block is for. Where later rows have more to do, as causal queries have, their
// tiles come first, of all heads; `last_first` says so, and `first_first` the opposite; else a head's tiles follow one
// another, so that what they share is still in the cache.
struct Place {
    int tile, outer, head;
    long long matrix, matrices;
};
__device__ inline Place place_of_block(int block, int blocks, int tiles, int heads, bool last_first, bool first_first) {
    const int matrices = blocks / tiles;
    const bool sorted = last_first || first_first;
    const int number = sorted ? block / matrices : block % tiles, matrix = sorted ? block % matrices : block / tiles;
    return {last_first ? tiles - 1 - number : number, matrix / heads, matrix % heads, matrix, matrices};
}
