// Products of small matrices of 16-bit numbers on tensor cores, summed in float, and copies into shared memory that
// are not waited for. What the lanes of a warp hold is a fragment, as PTX lays it out:
//
//   an 8 by 8 matrix: lane l has row l / 4, columns 2 * (l % 4) and the next one, in one register
//   a (16 by 16): four of those, the upper left, lower left, upper right and lower right one
//   b (16 by 8, stored as 8 rows of 16): two, of the first and of the last 8 places of the sum
//   the sum (16 by 8): sum[0], sum[1] as in an 8 by 8 matrix, and sum[2], sum[3] 8 rows further down
#include "numbers.cuh"

#ifdef __CUDACC__
__device__ inline unsigned shared_address(const void* place) { return (unsigned)__cvta_generic_to_shared(place); }

// Four 8 by 8 matrices from shared memory: lane l says where row l % 8 of matrix l / 8 begins, a multiple of 16 bytes.
__device__ inline void load_matrices(unsigned (&fragment)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// The same, each matrix transposed.
__device__ inline void load_transposed(unsigned (&fragment)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// sum += a b
template <class T>
__device__ void multiply_add(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
template <>
__device__ inline void multiply_add<float16>(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ inline void multiply_add<bfloat16>(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two numbers in a register, the first one in its lower half.
template <class T>
__device__ unsigned pair_of(float first, float second);
template <>
__device__ inline unsigned pair_of<float16>(float first, float second) {
    unsigned pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}
template <>
__device__ inline unsigned pair_of<bfloat16>(float first, float second) {
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}

// Copy 4, 8 or 16 bytes into shared memory, both places multiples of that; zeros, and nothing is read, where `is_there`
// is false. They have come when `wait_for_copies` and then a barrier say so.
template <int bytes>
__device__ inline void copy_later(void* to, const void* from, bool is_there) {
    const int read = is_there ? bytes : 0;
    if (bytes == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(read) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to)), "l"(from), "n"(bytes), "r"(read) : "memory");
}

// All copies that this thread began since the last time are a group.
__device__ inline void end_group_of_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until this thread's copies have come, but for those of so many of its last groups.
template <int but>
__device__ inline void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(but) : "memory");
}
#endif
