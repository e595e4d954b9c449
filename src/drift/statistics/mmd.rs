//! The maximum mean discrepancy of two sets of vectors, such as embeddings (Gretton et al., "A kernel two-sample test",
//! Journal of Machine Learning Research 13, 2012).

use super::random::SplitMix;

/// More vectors than this of one side are drawn down to it, which bounds the time and takes 16 MB: see
/// [`Mmd::used`]. The p-value is exact for what was drawn.
pub const VECTORS_MAX: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mmd {
    /// The unbiased estimate of MMD²: around 0 and slightly negative half of the time if nothing changed, at most 2.
    pub statistic: f64,
    /// `(k+1)/(B+1)`, where `k` of `B` shuffles of both sides together have a statistic at least this large: never 0
    /// (Phipson and Smyth 2010).
    pub p_value: f64,
    /// The kernel is `exp(-|x - y|² / 2σ²)` with this `σ`: the median distance of the vectors together.
    pub bandwidth: f64,
    /// The standard deviation of the statistic over the shuffles, where nothing differs.
    pub null_deviation: f64,
    /// How many vectors of each side were used.
    pub used: [usize; 2],
    pub seed: u64,
}

/// Two sets of vectors of one dimension. The same input and seed give the same result. `None` unless each side has at
/// least two vectors, all of one dimension and finite, and `shuffles` is at least 1.
pub fn mmd(reference: &[Vec<f32>], current: &[Vec<f32>], shuffles: u32, seed: u64) -> Option<Mmd> {
    let dimension = reference.first()?.len();
    let proper = |v: &Vec<f32>| v.len() == dimension && v.iter().all(|x| x.is_finite());
    if reference.len() < 2
        || current.len() < 2
        || shuffles == 0
        || !reference.iter().chain(current).all(proper)
    {
        return None;
    }
    let mut random = SplitMix(seed);
    let mut vectors = draw(reference, &mut random);
    let n = vectors.len();
    vectors.extend(draw(current, &mut random));
    let total = vectors.len();
    let mut kernel = vec![0.0_f32; total * total];
    for i in 0..total {
        for j in 0..i {
            let squared: f32 = vectors[i].iter().zip(vectors[j]).map(|(x, y)| (x - y) * (x - y)).sum();
            kernel[i * total + j] = squared.min(f32::MAX);
            kernel[j * total + i] = squared.min(f32::MAX);
        }
    }
    let median = median(&kernel, total);
    // If most vectors are equal, any width tells them from the others.
    let variance = if median > 0.0 { median } else { 1.0 };
    kernel.iter_mut().for_each(|squared| *squared = (-*squared / (2.0 * variance)).exp());
    let sums: Vec<f64> =
        kernel.chunks_exact(total).map(|row| row.iter().map(|k| f64::from(*k)).sum()).collect();
    let estimate = |order: &[u32]| unbiased(&kernel, &sums, order, n);
    let mut order: Vec<u32> = (0..total as u32).collect();
    let statistic = estimate(&order);
    let (mut reached, mut squares) = (0_u32, 0.0);
    for _ in 0..shuffles {
        // Only who is on the first side matters.
        for i in 0..n {
            order.swap(i, i + random.below(total - i));
        }
        // A shuffle that gives both sides back must count, though its sum may be rounded otherwise.
        let shuffled = estimate(&order);
        reached += u32::from(shuffled >= statistic - 1e-9);
        // Its mean over all shuffles is 0.
        squares += shuffled * shuffled;
    }
    let p_value = (f64::from(reached) + 1.0) / (f64::from(shuffles) + 1.0);
    Some(Mmd {
        statistic,
        p_value,
        bandwidth: f64::from(variance).sqrt(),
        null_deviation: (squares / f64::from(shuffles)).sqrt(),
        used: [n, total - n],
        seed,
    })
}

/// MMD² without bias (Gretton et al. 2012, equation 3), for the first `n` of `order` against the others. The kernel
/// within the first side gives all three sums, as the sums of whole rows are known.
fn unbiased(kernel: &[f32], sums: &[f64], order: &[u32], n: usize) -> f64 {
    let total = order.len();
    let (first, _) = order.split_at(n);
    let mut within = 0.0;
    for (index, i) in first.iter().enumerate() {
        let row = &kernel[*i as usize * total..][..total];
        within += 2.0 * first[..index].iter().map(|j| f64::from(row[*j as usize])).sum::<f64>();
    }
    let ones = |side: usize| side as f64;
    let rows: f64 = first.iter().map(|i| sums[*i as usize]).sum();
    let all: f64 = sums.iter().sum();
    let across = rows - within - ones(n);
    let others = all - rows - across - ones(total - n);
    let (n, m) = (n as f64, (total - n) as f64);
    within / (n * (n - 1.0)) + others / (m * (m - 1.0)) - 2.0 * across / (n * m)
}

/// The median of the squared distances of different vectors.
fn median(squared: &[f32], total: usize) -> f32 {
    let mut pairs: Vec<f32> = (1..total).flat_map(|i| squared[i * total..][..i].iter().copied()).collect();
    let middle = pairs.len() / 2;
    *pairs.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// At most [`VECTORS_MAX`] vectors, each set of them equally likely.
fn draw<'a>(vectors: &'a [Vec<f32>], random: &mut SplitMix) -> Vec<&'a [f32]> {
    let mut chosen: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    if chosen.len() > VECTORS_MAX {
        for i in 0..VECTORS_MAX {
            let other = i + random.below(chosen.len() - i);
            chosen.swap(i, other);
        }
        chosen.truncate(VECTORS_MAX);
    }
    chosen
}
