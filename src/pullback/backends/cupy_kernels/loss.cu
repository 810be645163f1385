// Cross-entropy between rows of logits and their classes. A class that there is not makes NaN: nobody else looks.
// Logits and their gradient are in T; losses and their gradient in R: T itself, or the type that is calculated in.
#include "numbers.cuh"

// The classes of rows, in int or in long long, and what each class weighs.
template <class T>
struct Classes {
    using W = wide_t<T>;
    const void* targets;
    const W* weights;  // null where all weigh 1
    long long count, narrow_targets, ignored;

    __device__ long long of_row(long long row) const {
        return narrow_targets ? static_cast<const int*>(targets)[row] : static_cast<const long long*>(targets)[row];
    }
    __device__ W weight(long long c) const { return weights ? weights[c] : (W)1; }

    // What a target counts: 0 where it is ignored, NaN where there is no such class.
    __device__ W weight_of_target(long long target) const {
        if (target == ignored) return 0;
        return target >= 0 && target < count ? weight(target) : (W)NAN;
    }
};

// Calls one(i) for single columns and pack(i) for N of them that lie in 16 bytes, whatever address the row begins at.
template <class T, class One, class Many>
__device__ void each_column(const T* row, long long columns, bool in_packs, One one, Many many) {
    constexpr int N = 16 / sizeof(T);
    const long long before = (16 - reinterpret_cast<unsigned long long>(row) % 16) % 16 / sizeof(T);
    const long long first = in_packs ? min(before, columns) : columns, packs = (columns - first) / N;
    for (long long i = threadIdx.x; i < first; i += blockDim.x) one(i);
    for (long long k = threadIdx.x; k < packs; k += blockDim.x) many(first + k * N);
    for (long long i = first + packs * N + threadIdx.x; i < columns; i += blockDim.x) one(i);
}

// The greatest logit of a row, and the sum of the exponentials of what the others lie below it, in one pass.
template <class T>
__device__ void scan_row(const T* x, long long columns, wide_t<T>& greatest, wide_t<T>& total) {
    using W = wide_t<T>;
    constexpr int N = 16 / sizeof(T);
    W most = -INFINITY, sum = 0;
    const auto take = [&](const auto& pack) {
        W here = widen(pack.values[0]);
        for (const T value : pack.values) here = Maximum()(here, (W)widen(value));
        const W now = Maximum()(most, here);
        if (now == -INFINITY) return;  // nothing yet that is above 0
        sum *= exp(most - now);
        for (const T value : pack.values) sum += exp((W)widen(value) - now);
        most = now;
    };
    each_column(
        x, columns, true, [&](long long i) { take(*reinterpret_cast<const Pack<T, 1>*>(x + i)); },
        [&](long long i) { take(*reinterpret_cast<const Pack<T, N>*>(x + i)); });
    greatest = reduce_row(most, Maximum());
    total = reduce_row(most == -INFINITY ? (W)0 : sum * exp(most - greatest), Sum());
}

// The loss of each row, and what its target counts. `losses` is in R where nothing is reduced: `counts` is null then.
template <class T, class R>
__global__ void __launch_bounds__(1024) cross_entropy(const T* logits, const void* targets, const wide_t<T>* weights, void* losses,
                                                      wide_t<T>* counts, long long rows, long long columns,
                                                      long long narrow_targets, long long ignored, double smoothing) {
    using W = wide_t<T>;
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;  // all threads of a row leave together
    const Classes<T> classes{targets, weights, columns, narrow_targets, ignored};
    const T* x = logits + row * columns;
    const long long target = classes.of_row(row);
    const W count = classes.weight_of_target(target);
    const bool is_free = target == ignored || (count == 0 && smoothing == 0);
    W loss = is_free ? (W)0 : (W)NAN;
    if (!is_free && count == count) {
        W greatest, total;
        scan_row(x, columns, greatest, total);
        const W beyond = log(total), share = count * (W)(1 - smoothing);
        loss = share == 0 ? (W)0 : share * (greatest - (W)widen(x[target]) + beyond);
        if (smoothing != 0) {
            W spread = 0;
            for (long long i = threadIdx.x; i < columns; i += blockDim.x) {
                const W weight = classes.weight(i);
                if (weight != 0) spread += weight * (greatest - (W)widen(x[i]) + beyond);
            }
            loss += reduce_row(spread, Sum()) * (W)(smoothing / columns);
        }
    }
    if (threadIdx.x > 0) return;
    if (counts) {
        static_cast<W*>(losses)[row] = loss;
        counts[row] = count;
    } else {
        static_cast<R*>(losses)[row] = narrow<R>(loss);
    }
}

// What the target of each row counts.
template <class T, class R>
__global__ void count_targets(const void* targets, const wide_t<T>* weights, wide_t<T>* counts, long long rows, long long columns,
                              long long narrow_targets, long long ignored) {
    const long long row = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const Classes<T> classes{targets, weights, columns, narrow_targets, ignored};
    if (row < rows) counts[row] = classes.weight_of_target(classes.of_row(row));
}

// The sums of two arrays of `size` numbers, or of the second alone; each of several blocks leaves its own in `parts`,
// (blocks, 2), always added in the same order. A single block ends the work: `total` is the second sum, 1 where that is 0;
// and `result` the first, or with `is_mean` the first over the second, of nothing NaN.
template <class T, class R>
__global__ void __launch_bounds__(1024) add_up(const wide_t<T>* first, const wide_t<T>* second, wide_t<T>* parts, R* result,
                                               wide_t<T>* total, long long size, long long step, long long is_mean) {
    using W = wide_t<T>;
    W sums[2] = {};
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += (long long)gridDim.x * blockDim.x) {
        if (first) sums[0] += first[i * step];
        sums[1] += second[i * step];
    }
    sums[0] = reduce_row(sums[0], Sum());
    sums[1] = reduce_row(sums[1], Sum());
    if (threadIdx.x > 0) return;
    if (parts) {
        parts[2 * blockIdx.x] = sums[0];
        parts[2 * blockIdx.x + 1] = sums[1];
    } else {
        if (total) *total = sums[1] == 0 ? (W)1 : sums[1];
        if (result) *result = narrow<R>(!is_mean ? sums[0] : sums[1] == 0 ? (W)NAN : sums[0] / sums[1]);
    }
}

// The gradient of the logits. g: of each row with `of_rows`, else one for all; over `total`, where that is given.
// all_weights: the sum of the weights of all classes, where targets are smoothed and classes weighted.
template <class T, class R>
__global__ void __launch_bounds__(1024) cross_entropy_vjp(const R* g, const T* logits, const void* targets, const wide_t<T>* weights,
                                                          const wide_t<T>* total, const wide_t<T>* all_weights, T* gx,
                                                          long long rows, long long columns, long long narrow_targets,
                                                          long long ignored, long long of_rows, double smoothing) {
    using W = wide_t<T>;
    constexpr int N = 16 / sizeof(T);
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;  // all threads of a row leave together
    const Classes<T> classes{targets, weights, columns, narrow_targets, ignored};
    const T* x = logits + row * columns;
    T* y = gx + row * columns;
    const long long target = classes.of_row(row);
    const W of_loss = (W)widen(g[of_rows ? row : 0]) / (total ? *total : (W)1), count = classes.weight_of_target(target);
    const bool is_ignored = target == ignored;
    W greatest = 0, exponentials = 1;
    if (!is_ignored) scan_row(x, columns, greatest, exponentials);
    const W share = count * (W)(1 - smoothing), spread = (W)(smoothing / columns);
    const W all_shares = share + (W)smoothing * (all_weights ? *all_weights / columns : (W)1);
    const W factor = of_loss * all_shares / exponentials;
    const auto slope = [&](long long i, W value) {
        if (is_ignored) return of_loss * 0;
        W mine = spread == 0 ? (W)0 : spread * classes.weight(i);
        if (i == target) mine += share;
        return exp(value - greatest) * factor - of_loss * mine;
    };
    const bool in_packs = (reinterpret_cast<unsigned long long>(x) - reinterpret_cast<unsigned long long>(y)) % 16 == 0;
    each_column(
        x, columns, in_packs, [&](long long i) { y[i] = narrow<T>(slope(i, widen(x[i]))); },
        [&](long long i) {
            Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(x + i);
#pragma unroll
            for (int n = 0; n < N; ++n) pack.values[n] = narrow<T>(slope(i + n, widen(pack.values[n])));
            *reinterpret_cast<Pack<T, N>*>(y + i) = pack;
        });
}
