// Random bits from a counter: Philox4x64 of ten rounds (Salmon, Moraes, Dror and Shaw, 2011).

// The four words of a block of a seed's bits, whose counter is one more than its number, as NumPy has it.
__device__ inline void philox(long long block, long long seed, unsigned long long (&words)[4]) {
    unsigned long long first = block + 1ULL, second = 0, third = 0, fourth = 0, key = seed, other_key = 0;
#pragma unroll 1  // it stands in many places
    for (int round = 0; round < 10; ++round) {
        const unsigned long long from_first = first * 0xD2E7470EE14C6C93ULL, from_third = third * 0xCA5A826395121157ULL;
        const unsigned long long above = __umul64hi(third, 0xCA5A826395121157ULL) ^ second ^ key;
        third = __umul64hi(first, 0xD2E7470EE14C6C93ULL) ^ fourth ^ other_key;
        first = above;
        second = from_third;
        fourth = from_first;
        key += 0x9E3779B97F4A7C15ULL;
        other_key += 0xBB67AE8584CAA73BULL;
    }
    words[0] = first;
    words[1] = second;
    words[2] = third;
    words[3] = fourth;
}
