// Arrays that lie apart and are gone through by one launch: each block has a part of one of them.

template <class T>
struct Part {
    const T* values;
    long long start;  // where it begins in a buffer of all of them
    long long count;

    // A row of the table for each block, see parts.py.
    __device__ explicit Part(const long long* table) {
        const long long* row = table + 3 * (long long)blockIdx.x;
        values = reinterpret_cast<const T*>(row[0]);
        start = row[1];
        count = row[2];
    }
};
