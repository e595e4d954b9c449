use super::hash::mix;
use super::*;

const SMALL: Settings = Settings { k: 64, exact_limit: 200, categories: 40, halvings: 0 };
const ROWS: usize = 15_000;
const CHUNK: usize = 2_000;

fn plan() -> Plan {
    let column = |(name, kind)| ColumnPlan { name: String::from(name), kind, bins: None };
    let mut columns = [
        ("price", Kind::Numeric),
        ("digit", Kind::Numeric),
        ("city", Kind::Categorical),
        ("ticket", Kind::Categorical),
        ("paid", Kind::Boolean),
        ("at", Kind::Time),
        ("note \"x\" \u{1}é", Kind::Text),
        ("never", Kind::Text),
    ]
    .map(column);
    columns[0].bins = Some(vec![-1e300, -1.0, 0.0, 0.25, 1.0]);
    Plan { seed: Seed(11), settings: SMALL, columns: columns.into() }
}

/// The numbers of a row: anything, with all kinds of oddities.
fn price(row: usize) -> f64 {
    match row % 97 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => -0.0,
        _ => mix(row as u64) as f64 / u64::MAX as f64 - 0.3,
    }
}

/// A profile of rows, fed in slices of this length.
fn chunk(plan: &Plan, number: usize, rows: std::ops::Range<usize>, slice: usize) -> Profile {
    let mut builder = ProfileBuilder::new(plan, number as u64).unwrap();
    let rows: Vec<usize> = rows.collect();
    for rows in rows.chunks(slice) {
        let random = |row: &usize| mix(*row as u64 ^ 0xabcd);
        let valid: Vec<bool> = rows.iter().map(|row| !row.is_multiple_of(13)).collect();
        let prices: Vec<f64> = rows.iter().map(|row| price(*row)).collect();
        let digits: Vec<f64> = rows.iter().map(|row| (random(row) % 10) as f64).collect();
        let cities: Vec<String> = rows.iter().map(|row| format!("city-{}", random(row) % 7)).collect();
        let tickets: Vec<String> = rows.iter().map(|row| "t".repeat(row % 200) + &row.to_string()).collect();
        let paid: Vec<bool> = rows.iter().map(|row| random(row) % 3 == 0).collect();
        let times: Vec<i64> =
            rows.iter().map(|row| 1_700_000_000_000_000 + *row as i64 * 1_000_000).collect();
        let cities: Vec<&str> = cities.iter().map(String::as_str).collect();
        let tickets: Vec<&str> = tickets.iter().map(String::as_str).collect();
        let [a, b, c, d, e, f, g, _] = builder.columns() else { panic!("eight columns") };
        a.numbers(&prices, Some(&valid)).unwrap();
        b.numbers(&digits, None).unwrap();
        c.strings(&cities, Some(&valid)).unwrap();
        d.strings(&tickets, None).unwrap();
        e.booleans(&paid, Some(&valid)).unwrap();
        f.times(&times[1..], None).unwrap();
        f.failed(1).unwrap();
        g.strings(&tickets[1..], None).unwrap();
        g.missing(1).unwrap();
    }
    builder.finish().unwrap()
}

fn chunk_of(plan: &Plan, number: usize) -> Profile {
    chunk(plan, number, number * CHUNK..ROWS.min((number + 1) * CHUNK), 500)
}

fn merged(a: Profile, b: Profile) -> Result<Profile, Invalid> {
    a.merge(&b)
}

/// The whole table on so many threads, chunks dealt out in turn.
fn profile(threads: usize) -> Profile {
    let plan = plan();
    let mut chunks = Chunks::default();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (send, plan) = (send.clone(), &plan);
            scope.spawn(move || {
                for number in (thread..ROWS.div_ceil(CHUNK)).step_by(threads) {
                    send.send((number, chunk_of(plan, number))).unwrap();
                }
            });
        }
        drop(send);
        receive.iter().for_each(|(number, part)| chunks.add(number as u64, part, merged).unwrap());
    });
    chunks.finish().unwrap().unwrap()
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let bytes = profile(1).to_bytes().unwrap();
    for threads in [2, 3] {
        assert_eq!(profile(threads).to_bytes().unwrap(), bytes);
    }
}

#[test]
fn the_same_bytes_in_slices_of_any_length() {
    let plan = plan();
    // Columns `at` and `note` have one odd row a slice.
    let numbers = |slice| {
        let part = chunk(&plan, 0, 0..10_000, slice);
        part.columns()[..5].to_vec()
    };
    assert_eq!(numbers(10_000), numbers(1));
    assert_eq!(numbers(10_000), numbers(777));
}

#[test]
fn a_profile_tells_what_was_there() {
    let profile = profile(1);
    let rows = ROWS as u64;
    assert_eq!((profile.rows(), profile.seed(), profile.columns().len()), (rows, Seed(11), 8));
    let column = |name| profile.column(name).unwrap();
    let price = column("price");
    let missing = (0..ROWS).filter(|row| row % 13 == 0).count() as u64;
    assert_eq!((price.rows(), price.missing(), price.failed(), price.absent()), (rows, missing, 0, 0));
    let Values::Numeric(numbers) = price.values() else { panic!("not numeric") };
    let count = |remainder| (0..ROWS).filter(|row| row % 97 == remainder && row % 13 != 0).count() as u64;
    assert_eq!((numbers.not_a_number(), numbers.positive_infinities()), (count(0), count(1)));
    assert_eq!(numbers.negative_infinities(), count(2));
    let finite = rows - missing - count(0) - count(1) - count(2);
    assert_eq!((numbers.moments().count(), numbers.quantiles().count()), (finite, finite));
    assert_eq!(numbers.bins().unwrap().total(), finite);
    assert!((numbers.moments().mean().unwrap() - 0.2).abs() < 0.02);
    assert!(!numbers.quantiles().is_exact() && numbers.distinct().1 > 0.0);
    assert!((numbers.distinct().0 as f64 / finite as f64 - 1.0).abs() < 0.06);
    let Values::Numeric(digits) = column("digit").values() else { panic!("not numeric") };
    assert!(digits.quantiles().is_exact() && digits.distinct() == (10, 0.0));
    let Values::Categorical { distinct, frequent } = column("city").values() else {
        panic!("not categorical")
    };
    assert_eq!((distinct.count(), frequent.is_exact(), frequent.items().len()), (7, true, 7));
    let Values::Categorical { distinct, frequent } = column("ticket").values() else {
        panic!("not categorical")
    };
    assert!((distinct.count() as f64 / rows as f64 - 1.0).abs() < 0.06 && frequent.items().len() <= 40);
    let Values::Boolean { no, yes } = column("paid").values() else { panic!("not boolean") };
    assert_eq!(no + yes, rows - missing);
    assert_eq!((column("at").failed(), column("at").kind()), (30, Kind::Time));
    assert_eq!((column("never").absent(), column("never").rows()), (rows, 0));
}

#[test]
fn columns_meet_by_name() {
    let plan = plan();
    let [left, right] = [[0, 2, 4], [4, 5, 0]].map(|picked| {
        let columns = picked.map(|i| plan.columns[i].clone()).to_vec();
        let mut builder = ProfileBuilder::new(&Plan { columns, ..plan.clone() }, 0).unwrap();
        builder.columns().iter_mut().for_each(|column| column.missing(10).unwrap());
        builder.finish().unwrap()
    });
    let both = left.merge(&right).unwrap();
    let names: Vec<&str> = both.columns().iter().map(ColumnProfile::name).collect();
    assert_eq!(names, ["price", "city", "paid", "at"]);
    let counts: Vec<(u64, u64)> =
        both.columns().iter().map(|column| (column.rows(), column.absent())).collect();
    assert_eq!(counts, [(20, 0), (10, 10), (20, 0), (10, 10)]);
    Profile::parse(&both.to_bytes().unwrap()).unwrap();

    let with = |kind, bins: Option<Vec<f64>>| {
        let columns = vec![ColumnPlan { name: "price".to_owned(), kind, bins }];
        ProfileBuilder::new(&Plan { columns, ..plan.clone() }, 0).unwrap().finish().unwrap()
    };
    assert!(left.merge(&with(Kind::Text, None)).is_err(), "another kind");
    assert!(left.merge(&with(Kind::Numeric, None)).is_err(), "no bins");
    assert!(left.merge(&with(Kind::Numeric, Some(vec![0.0, 1.0]))).is_err(), "other bins");
}

#[test]
fn a_batch_with_a_dictionary_is_the_same_as_its_strings() {
    let builders = || ProfileBuilder::new(&plan(), 0).unwrap();
    let (mut one_by_one, mut counted) = (builders(), builders());
    let long = "x".repeat(200);
    let items = ["a", &long, "a", "", "a"];
    one_by_one.columns()[2].strings(&items, None).unwrap();
    counted.columns()[2].categories(&[("a", 3), ("", 1), ("none", 0), (&long, 1)]).unwrap();
    assert!(counted.columns()[2].categories(&[("a", u64::MAX), ("b", 1)]).is_err());
    assert!(counted.columns()[0].categories(&[("a", 1)]).is_err());
    assert_eq!(one_by_one.finish(), counted.finish());
}

#[test]
fn feeding_goes_wrong_without_harm() {
    let plan = plan();
    let mut builder = ProfileBuilder::new(&plan, 0).unwrap();
    let columns = builder.columns();
    assert!(columns[0].strings(&["x"], None).is_err() && columns[2].numbers(&[1.0], None).is_err());
    assert!(columns[4].times(&[1], None).is_err() && columns[5].booleans(&[true], None).is_err());
    assert!(columns[0].numbers(&[1.0], Some(&[])).is_err() && columns[0].missing(u64::MAX).is_err());
    assert!(columns.iter().all(|column| column.rows() == 0));
    columns[0].numbers(&[1.0, 2.0], None).unwrap();
    columns[1].failed(1).unwrap();
    assert!(builder.finish().is_err(), "2 rows and 1 row");

    let named = |name: &str, kind, bins| {
        let column = ColumnPlan { name: name.to_owned(), kind, bins };
        ProfileBuilder::new(&Plan { columns: vec![column.clone(), column], ..plan.clone() }, 0)?.finish()
    };
    assert!(named("twice", Kind::Text, None).is_err() && named("", Kind::Text, None).is_err());
    assert!(named(&"x".repeat(513), Kind::Text, None).is_err());
    assert!(named("x", Kind::Text, Some(vec![0.0, 1.0])).is_err(), "bins of texts");
    for settings in [Settings { k: 1, ..SMALL }, Settings { exact_limit: u32::MAX, ..SMALL }] {
        assert!(ProfileBuilder::new(&Plan { settings, ..plan.clone() }, 0).is_err());
    }
    let nothing =
        ProfileBuilder::new(&Plan { columns: Vec::new(), ..plan.clone() }, 0).unwrap().finish().unwrap();
    assert_eq!(Profile::parse(&nothing.to_bytes().unwrap()).unwrap(), nothing);
}

#[test]
fn chunks_are_merged_in_their_order() {
    let plan = plan();
    let mut chunks = Chunks::default();
    chunks.add(1, chunk_of(&plan, 1), merged).unwrap();
    assert!(chunks.add(1, chunk_of(&plan, 1), merged).is_err());
    assert_eq!(chunks.waiting(), 1);
    chunks.add(0, chunk_of(&plan, 0), merged).unwrap();
    assert!(chunks.add(0, chunk_of(&plan, 0), merged).is_err());
    assert_eq!(chunks.finish().unwrap().unwrap().rows(), 2 * CHUNK as u64);
    let mut gap = Chunks::default();
    gap.add(1, chunk_of(&plan, 1), merged).unwrap();
    assert!(gap.finish().is_err());
    assert_eq!(Chunks::<Profile>::default().finish(), Ok(None));
}

#[test]
fn what_is_written_is_read_back_byte_for_byte() {
    for profile in
        [profile(1), chunk_of(&plan(), 0), chunk(&plan(), 0, 0..1, 1), chunk(&plan(), 0, 0..70, 70)]
    {
        let bytes = profile.to_bytes().unwrap();
        let read = Profile::parse(&bytes).unwrap();
        assert_eq!(read, profile);
        assert_eq!(read.to_bytes().unwrap(), bytes);
        assert_eq!(read.digest(), profile.digest());
        assert_eq!(read.merge(&profile), profile.merge(&read));
    }
    let (a, b) = (chunk_of(&plan(), 0), chunk_of(&plan(), 1));
    assert_ne!(a.digest(), b.digest());
}

/// The format is a promise: what was written once is read for ever, and the same input gives the same digest.
#[test]
fn what_columns_were_derived_by_is_kept() {
    let by = |list: &str| {
        let derived = [("price".to_owned(), format!("{list} sha256:00"))].into();
        profile(1).with_derivations(derived)
    };
    let one = by("refusal 1").unwrap();
    let bytes = one.to_bytes().unwrap();
    assert_eq!(Profile::parse(&bytes).unwrap(), one);
    assert_ne!(one.digest().unwrap(), profile(1).digest().unwrap());
    assert!(!String::from_utf8(profile(1).to_bytes().unwrap()).unwrap().contains("derivations"));
    assert_eq!(one.merge(&profile(1)).unwrap().derivations(), one.derivations());
    assert!(one.merge(&by("refusal 2").unwrap()).is_err());
    assert!(by(&"x".repeat(600)).is_err());
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [
        ("{\"price\":\"refusal", "{\"nowhere\":\"refusal"),
        ("\"refusal 1 sha256:00\"", "\"\""),
        ("\"refusal 1 sha256:00\"", "7"),
        ("{\"price\":\"refusal 1 sha256:00\"}", "{}"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert!(changed != text && Profile::parse(changed.as_bytes()).is_err(), "{from} -> {to}");
    }
}

#[test]
fn the_format_does_not_change() {
    assert_eq!(profile(1).digest().unwrap(), DIGEST);
}

const DIGEST: &str = "76f86bf5d8b87d09850570a809ac2428b6505aecd39779fba41a45f4658f583d";

#[test]
fn whatever_contradicts_itself_is_refused() {
    let bytes = chunk(&plan(), 0, 0..70, 70).to_bytes().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is not there");
        assert!(Profile::parse(changed.as_bytes()).is_err(), "{from} -> {to}");
    };
    refused("drift-profile/v1", "drift-profile/v2");
    refused("000000000000000b", "000000000000000B");
    refused("000000000000000b", "+00000000000000b");
    refused("000000000000000b", "b");
    refused("\"rows\":70", "\"rows\":71");
    refused("\"rows\":70", "\"rows\":70.0");
    refused("\"rows\":70", "\"rows\": 70");
    refused("\"rows\":70", "\"rows\":70,\"rows\":70");
    refused("\"rows\":70", "\"rows\":18446744073709551615");
    refused("\"rows\":70", "\"more\":1,\"rows\":70");
    refused("\"name\":\"digit\"", "\"name\":\"price\"");
    refused("\"name\":\"digit\"", "\"name\":\"di\\u0067it\"");
    refused("\"name\":\"digit\"", "\"name\":\"\"");
    refused("\"missing\":6", "\"missing\":7");
    refused("\"not_a_number\":0", "\"not_a_number\":18446744073709551615");
    refused("\"k\":64", "\"k\":63");
    refused("\"exact_limit\":200", "\"exact_limit\":2000000");
    refused("\"exact_limit\":200", "\"exact_limit\":20");
    refused("\"min\":", "\"min\":-");
    refused("\"m2\":", "\"m2\":-");
    refused("\"m2\":", "\"m2\":null,\"m3\":");
    refused("\"counts\":[", "\"counts\":[1,");
    refused("\"values\":[", "\"values\":[0,");
    refused("\"values\":[", "\"values\":[-1e309,");
    refused("\"below\":0", "\"below\":1");
    refused("\"capacity\":40", "\"capacity\":0");
    refused("\"capacity\":40", "\"capacity\":5");
    refused("\"error\":0", "\"error\":1");
    refused("\"city-0\":", "\"city-0\":0,\"city-0\":");
    refused("\"city-0\":", "\"city-00\":0,\"city-0\":");
    refused("\"exact\":\"", "\"exact\":\"AAAAAAAA");
    refused("\"exact\":\"", "\"exact\":\"=");
    refused("\"yes\":", "\"yes\":1");
    refused("{\"boolean\":{", "{\"boolean\":{\"maybe\":0,");
    refused("\"numeric\":{", "\"time\":{");
    for end in [0, 1, text.len() / 2, text.len() - 1] {
        assert!(Profile::parse(&text.as_bytes()[..end]).is_err());
    }
    assert!(Profile::parse(format!("{text} ").as_bytes()).is_err());
    assert!(Profile::parse(&"[".repeat(100_000).into_bytes()).is_err());
    assert!(Profile::parse(&vec![b' '; MAX_BYTES + 1]).is_err());
}

/// Bytes changed at random are refused; where a change happens to make sense (another count in the right place), the
/// profile is as sound as any, and digests tell the two apart.
#[test]
fn changed_bytes_do_no_harm() {
    let plan = plan();
    let originals = [chunk(&plan, 0, 0..70, 70), chunk_of(&plan, 0), profile(1)];
    let mut accepted = 0;
    for (kind, original) in originals.iter().enumerate() {
        let bytes = original.to_bytes().unwrap();
        for round in 0..200 {
            let mut random = mix(round + ((kind as u64) << 32));
            let mut below = |n: usize| {
                random = mix(random);
                (random % n as u64) as usize
            };
            let mut changed = bytes.clone();
            for _ in 0..=below(3) {
                let at = below(changed.len());
                match below(5) {
                    0 => changed[at] ^= 1 << below(8),
                    1 => changed[at] = b"0123456789,:[]{}\"-.eEAZ"[below(23)],
                    2 => drop(changed.remove(at)),
                    3 => changed.insert(at, b"0123456789,:[]{}\"-.eEAZ"[below(23)]),
                    _ => {
                        let end = (at + 1 + below(40)).min(changed.len());
                        let piece = changed[at..end].to_vec();
                        let to = below(changed.len());
                        changed.splice(to..to, piece);
                    }
                }
            }
            let Ok(profile) = Profile::parse(&changed) else { continue };
            assert_eq!(profile.to_bytes().unwrap(), changed);
            accepted += usize::from(changed != bytes);
            let both = profile.merge(original).and_then(|both| both.merge(&profile));
            if let Ok(both) = both {
                Profile::parse(&both.to_bytes().unwrap()).unwrap();
                both.columns().iter().for_each(read_all);
            }
        }
    }
    assert!(accepted < 200, "{accepted} of 600 changes were taken for profiles");
}

fn read_all(column: &ColumnProfile) {
    match column.values() {
        Values::Numeric(numbers) | Values::Time(numbers) | Values::Text { lengths: numbers, .. } => {
            let quantiles = numbers.quantiles();
            assert!(quantiles.count() == 0 || quantiles.quantile(0.5).is_some());
            assert!(quantiles.uniform_rank_error(0.01) <= 1.0);
            let _ = (numbers.distinct(), numbers.moments().skewness(), numbers.moments().excess_kurtosis());
        }
        Values::Categorical { distinct, frequent } => {
            let _ = (distinct.count(), frequent.items(), frequent.unlisted());
        }
        Values::Boolean { .. } => {}
    }
}

#[test]
fn the_schema_names_the_format() {
    let schema = Profile::schema().to_value();
    assert_eq!(schema["properties"]["format"]["const"], FORMAT);
    assert_eq!(schema["required"], serde_json::json!(["format", "seed", "rows", "columns"]));
    assert_eq!(schema["additionalProperties"], false);
}
