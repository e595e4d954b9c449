//! What was meant by a word that was mistyped.

/// The known word that is fewest slips away, if that is near enough.
pub fn nearest(word: &str, known: &[String]) -> Option<String> {
    let far = |candidate: &String| candidate.trim_start_matches('-').chars().count().div_ceil(3);
    let near = known.iter().map(|candidate| (distance(word, candidate), candidate));
    near.filter(|(steps, candidate)| *steps <= far(candidate)).min().map(|(_, candidate)| candidate.clone())
}

/// How many characters must be added, dropped, replaced or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut steps = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                steps = steps.min(rows[i - 1][j - 1] + 1);
            }
            row.push(steps);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_near() {
        let known: Vec<String> = ["--to", "--bump", "--contract", "--data-dir"].map(str::to_owned).into();
        for (typed, meant) in [
            ("--tto", Some("--to")),
            ("--ot", Some("--to")),
            ("--contarct", Some("--contract")),
            ("--datadir", Some("--data-dir")),
            ("--xy", None),
            ("--everything", None),
        ] {
            assert_eq!(nearest(typed, &known).as_deref(), meant, "{typed}");
        }
    }
}
