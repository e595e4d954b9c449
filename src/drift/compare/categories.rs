//! Tests of categories.

use super::super::statistics::chi_square::{contingency, pool};
use super::super::statistics::jensen_shannon::{self, Base};
use super::super::statistics::shares::{shares, total};
use super::super::statistics::two_proportion::wilson;
use super::super::statistics::unseen_mass::unseen_mass;
use super::numeric::Z_95;
use super::options::Options;
use super::power::Scale;
use super::rates;
use super::result::{Cell, Effect, Test};
use super::side::Categories;
use std::collections::BTreeSet;

pub(super) const CHI_SQUARE: &str = "chi_square_of_categories";
pub(super) const RARE: &str = "rate_of_other_than_the_usual_category";
pub(super) const NEW: &str = "new_category_mass";
const VANISHED: &str = "vanished_category_mass";
/// Named categories in a list of cells; up to three cells stand for the others.
const NAMED_MAX: usize = 18;

/// The same categories on both sides, by name.
struct Table<'a> {
    names: Vec<&'a str>,
    reference: Vec<u64>,
    current: Vec<u64>,
}

/// The tests of two sides with at least two rows each.
pub(super) fn tests(reference: &Categories, current: &Categories, options: &Options) -> Vec<Test> {
    let names: BTreeSet<&str> =
        reference.counts.keys().chain(current.counts.keys()).map(String::as_str).collect();
    let counts =
        |side: &Categories| names.iter().map(|name| side.counts.get(*name).copied().unwrap_or(0)).collect();
    let table =
        Table { reference: counts(reference), current: counts(current), names: names.into_iter().collect() };
    let (n, m) = (reference.total, current.total);
    let mut tests = vec![];
    if reference.error > 0 || current.error > 0 {
        let why = "A side has more different categories than were counted exactly.";
        tests.push(Test::insufficient(CHI_SQUARE, n, m, why));
    } else {
        tests.extend(chi_square(&table, options));
        tests.extend(jensen_shannon(&table));
    }
    tests.push(unseen(NEW, (reference, current), (n, m), options));
    tests.push(unseen(VANISHED, (current, reference), (n, m), options));
    tests
}

/// The test of counts of the same cells on both sides. `None` of a single cell.
pub(super) fn of_counts(
    names: Vec<&str>,
    reference: Vec<u64>,
    current: Vec<u64>,
    options: &Options,
) -> Option<Test> {
    chi_square(&Table { names, reference, current }, options)
}

/// `None` of a single category.
fn chi_square(table: &Table, options: &Options) -> Option<Test> {
    let sums = |counts: &[u64]| total(counts) as u64;
    let sizes @ (n, m) = (sums(&table.reference), sums(&table.current));
    if table.names.len() < 2 {
        return None;
    }
    let pooled = pool(&table.reference, &table.current);
    let Some(test) = contingency(&pooled.reference, &pooled.current) else {
        let why = "Fewer than two categories have five expected rows on the smaller side.";
        return rare(table, sizes, options).or_else(|| Some(Test::insufficient(CHI_SQUARE, n, m, why)));
    };
    let v = balanced_v(&pooled.reference, &pooled.current, test.degrees_of_freedom);
    Some(Test {
        method: format!(
            "asymptotic, {} degrees of freedom, {} sparse categories pooled",
            test.degrees_of_freedom,
            pooled.pooled.len()
        ),
        value: Some(test.statistic).filter(|value| value.is_finite()),
        p_value: Some(test.p_value).filter(|p| p.is_finite()),
        effect: cramers_v(v, test.degrees_of_freedom, sizes, options),
        cells: cells(table, &pooled.pooled, options.named_from),
        ..Test::new(CHI_SQUARE, n, m)
    })
}

/// Where nearly all rows are of one category, chi-square has nothing to compare it with; how many are of any other is a
/// rate, which matters from the same V on.
fn rare(table: &Table, (n, m): (u64, u64), options: &Options) -> Option<Test> {
    let (reference, current) =
        table.reference.iter().zip(&table.current).max_by_key(|(r, c)| r.saturating_add(**c))?;
    let is_most = reference.saturating_add(*current) > n.saturating_add(m) / 2;
    let [r, c] = [[*reference, n - reference], [*current, m - current]];
    let rate = rates::test(RARE, (r[1], n), (c[1], m), options).filter(|_| is_most)?;
    let v = balanced_v(&r, &c, 1.0);
    Some(Test { effect: cramers_v(v, 1.0, (n, m), options), ..rate })
}

fn cramers_v(v: f64, degrees_of_freedom: f64, sizes: (u64, u64), options: &Options) -> Option<Effect> {
    let scale = Scale::Table(degrees_of_freedom);
    Effect::new("Cramér's V", v, options.floors.cramers_v, scale, sizes, options.alpha, 0.0)
}

/// Cramér's V of the table with both sides weighed alike, without what chance alone adds to its square.
///
/// As it stands V shrinks when one side gets more rows though the shares stay: at 50 : 1 to 28 %. Weighed alike,
/// `V² = ½ Σ (r - c)² / (r + c)` of shares, whose bias is `(k-1)/4 (1/n + 1/m)`; for equal sides that is Bergsma's
/// correction ("A bias-correction for Cramér's V and Tschuprow's T", Journal of the Korean Statistical Society 42, 2013).
fn balanced_v(reference: &[u64], current: &[u64], degrees_of_freedom: f64) -> f64 {
    let pairs = shares(reference).into_iter().zip(shares(current)).filter(|(r, c)| r + c > 0.0);
    let square = 0.5 * pairs.map(|(r, c)| (r - c) * (r - c) / (r + c)).sum::<f64>();
    let bias = 0.25 * degrees_of_freedom * (1.0 / total(reference) + 1.0 / total(current));
    (square - bias).clamp(0.0, 1.0).sqrt()
}

fn jensen_shannon(table: &Table) -> Option<Test> {
    let value = jensen_shannon::of_counts(&table.reference, &table.current, Base::Two)?;
    Some(Test {
        method: "described only: without differences it still grows with the number of categories".to_owned(),
        value: Some(value).filter(|value| value.is_finite()),
        ..Test::new(
            "jensen_shannon_distance_base_2_of_categories",
            total(&table.reference) as u64,
            total(&table.current) as u64,
        )
    })
}

/// The mass of what one side has and the other has never seen, beyond what is expected to be unseen.
///
/// What was seen must be known exactly. Of the other side, counts that may be too low count as high as they may be, so
/// that the mass is rather too small.
fn unseen(
    name: &str,
    (seen, other): (&Categories, &Categories),
    sizes: (u64, u64),
    options: &Options,
) -> Test {
    let (n, m) = sizes;
    if seen.error > 0 {
        return Test::insufficient(
            name,
            n,
            m,
            "A side has more different categories than were counted exactly.",
        );
    }
    let highest = |name: &String| other.counts.get(name).copied().unwrap_or(0).saturating_add(other.error);
    let known = seen.counts.keys().map(highest).fold(0, u64::saturating_add).min(other.total);
    let new = other.total - known;
    // One cell for all rows of known categories would hide the singletons: they go to the first of them.
    let mut seen_counts: Vec<u64> = seen.counts.values().copied().collect();
    let mut other_counts = vec![0; seen_counts.len()];
    if let Some(first) = other_counts.first_mut() {
        *first = known;
    }
    seen_counts.push(0);
    other_counts.push(new);
    let Some(found) = unseen_mass(&seen_counts, &other_counts) else {
        return Test::insufficient(name, n, m, "A side has no rows.");
    };
    let effect = (found.mass - found.expected).max(0.0);
    let floor = options.floors.unseen;
    let (in_known, in_new) = (Cell::new("known", seen.total, known), Cell::new("unseen", 0, new));
    let swapped = |cell: Cell| Cell { reference: cell.current, current: cell.reference, ..cell };
    let cells = if name == NEW { vec![in_known, in_new] } else { vec![swapped(in_known), swapped(in_new)] };
    let (low, high) = wilson(found.mass, total(&other_counts), Z_95);
    let lowest =
        if other.error > 0 { "; at least so many rows, as some categories were not counted" } else { "" };
    Test {
        method: format!(
            "binomial, against {}: the upper bound of what is expected to be unseen, {}{lowest}",
            found.bound, found.expected
        ),
        value: Some(found.mass),
        p_value: Some(found.p_value).filter(|p| p.is_finite()),
        effect: Effect::new("unexpected share", effect, floor, Scale::Share, sizes, options.alpha, 0.0),
        interval: Some([low, high]),
        cells,
        ..Test::new(name, n, m)
    }
}

/// The cells of the test with what each adds to it, the largest first. A category that few rows have on a side is not
/// named.
fn cells(table: &Table, pooled: &[usize], named_from: u64) -> Vec<Cell> {
    let (n, m) = (total(&table.reference), total(&table.current));
    let term = |r: u64, c: u64| {
        let difference = r as f64 * (m / (n + m)) - c as f64 * (n / (n + m));
        if r == 0 && c == 0 {
            0.0
        } else {
            difference * difference * (n + m) / (r as f64 + c as f64) * ((n + m) / n / m)
        }
    };
    let (mut named, mut rare) = (vec![], vec![]);
    for (i, name) in table.names.iter().enumerate() {
        let (r, c) = (table.reference[i], table.current[i]);
        if pooled.binary_search(&i).is_err() {
            let cell = Cell { term: Some(term(r, c)), ..Cell::new(*name, r, c) };
            if r.min(c) >= named_from { named.push(cell) } else { rare.push(cell) }
        }
    }
    let by_term = |a: &Cell, b: &Cell| b.term.unwrap_or(0.0).total_cmp(&a.term.unwrap_or(0.0));
    named.sort_by(|a, b| by_term(a, b).then(a.label.cmp(&b.label)));
    let others = named.split_off(named.len().min(NAMED_MAX));
    named.extend(sum("__other__", &others));
    named.extend(sum("__rare__", &rare));
    let sparse: Vec<Cell> =
        pooled.iter().map(|i| Cell::new("", table.reference[*i], table.current[*i])).collect();
    // The test has one cell for all of these.
    named.extend(
        sum("__pooled__", &sparse)
            .map(|cell| Cell { term: Some(term(cell.reference, cell.current)), ..cell }),
    );
    named
}

fn sum(label: &str, cells: &[Cell]) -> Option<Cell> {
    let add = |pick: fn(&Cell) -> u64| cells.iter().map(pick).fold(0, u64::saturating_add);
    (!cells.is_empty()).then(|| Cell {
        label: label.to_owned(),
        reference: add(|cell| cell.reference),
        current: add(|cell| cell.current),
        cells: cells.len() as u64,
        term: Some(cells.iter().filter_map(|cell| cell.term).sum()),
    })
}
