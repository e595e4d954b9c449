use super::*;

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

fn report(content: &str, status: Status, healthy: Option<bool>) -> Report {
    Report {
        stage: Some("production".parse().unwrap()),
        version: "1.0.0".parse().unwrap(),
        digest: Digest::sha256(content.as_bytes()),
        status,
        healthy,
        url: None,
        message: None,
    }
}

fn observe(before: Option<&Deployment>, report: Report, minutes: i64) -> Observed {
    let (workload, target) = ("acme/w".parse().unwrap(), "eu-1".parse().unwrap());
    Deployment::observe(&workload, &target, before, report, &"ci".parse().unwrap(), at(minutes))
}

#[test]
fn what_was_said_before_is_no_news() {
    let first = observe(None, report("a", Status::Running, Some(true)), 0);
    assert!(first.is_news);
    let again = observe(Some(&first.now), report("a", Status::Running, Some(true)), 5);
    assert!(!again.is_news);
    assert_eq!((again.now.since, again.now.reported_at), (at(0), at(5)));
    let later = observe(Some(&again.now), report("a", Status::Running, Some(true)), 10);
    assert!(!later.is_news && later.is_said);
    let worse = observe(Some(&later.now), report("a", Status::Running, Some(false)), 11);
    assert!(worse.is_news && worse.is_said);
    assert_eq!(worse.now.healthy_since, Some(at(11)));
}

#[test]
fn a_report_without_health_leaves_what_was_said_of_it() {
    let first = observe(None, report("a", Status::Running, Some(false)), 0);
    let silent = observe(Some(&first.now), report("a", Status::Running, None), 60);
    assert!(!silent.is_news && !silent.is_said);
    assert_eq!(silent.now.healthy, Some(false));
    let other = observe(Some(&silent.now), report("b", Status::Running, None), 61);
    assert_eq!((other.now.healthy, other.now.since), (None, at(61)), "another version starts anew");
    let gone = observe(Some(&first.now), report("a", Status::Retired, None), 62);
    assert!(gone.is_news && gone.now.healthy.is_none());
}

#[test]
fn what_failed_and_runs_now_has_no_health_yet() {
    let failed = observe(None, report("a", Status::Failed, None), 0);
    assert!(failed.now.is_bad());
    let runs = observe(Some(&failed.now), report("a", Status::Running, None), 5);
    assert!(runs.is_news && !runs.now.is_bad() && runs.now.healthy.is_none());
    assert_eq!(runs.withdrawn.len(), 1, "that it failed is taken back");
    let again = observe(Some(&runs.now), report("a", Status::Running, None), 6);
    assert!(again.withdrawn.is_empty());
}

#[test]
fn health_counts_for_the_stage_it_was_reported_in() {
    let first = observe(None, report("a", Status::Running, Some(true)), 0);
    let elsewhere =
        Report { stage: Some("staging".parse().unwrap()), ..report("a", Status::Running, Some(true)) };
    let moved = observe(Some(&first.now), elsewhere, 60);
    assert_eq!(moved.now.healthy_since, Some(at(60)));
}

#[test]
fn a_difference_has_lasted_since_it_began() {
    let (old, new) = (Digest::sha256(b"old"), Digest::sha256(b"new"));
    let never = at(-1000);
    let running = observe(None, report("old", Status::Running, None), 0).now;
    assert_eq!(running.differs_since(&old, at(-5), never), None);
    assert_eq!(running.differs_since(&new, at(30), at(30)), Some(at(30)), "the stage moved on");
    assert_eq!(
        running.differs_since(&new, at(60), at(30)),
        Some(at(30)),
        "and on, and it still stands there"
    );
    let failed = observe(Some(&running), report("new", Status::Failed, None), 40).now;
    assert_eq!(failed.content(), &old);
    assert_eq!(failed.differs_since(&new, at(30), at(30)), Some(at(30)), "it never ran");
    assert_eq!(
        failed.differs_since(&old, at(45), never),
        None,
        "what is wanted again has been running all the time"
    );
    let came = observe(Some(&failed), report("new", Status::Running, None), 50).now;
    assert_eq!(came.differs_since(&new, at(30), never), None);
    let broke = observe(Some(&came), report("new", Status::Failed, None), 70).now;
    assert_eq!(broke.differs_since(&new, at(30), never), Some(at(70)), "it ran until then");
    let strayed = observe(Some(&came), report("other", Status::Running, None), 80).now;
    assert_eq!(strayed.differs_since(&new, at(30), never), Some(at(80)), "the target went another way");
    let retired = observe(Some(&strayed), report("other", Status::Retired, None), 90).now;
    assert_eq!(retired.differs_since(&new, at(30), never), None);
    let first = observe(None, report("new", Status::Failed, None), 40).now;
    assert_eq!(first.differs_since(&new, at(30), never), Some(at(30)), "nothing runs there");
}

#[test]
fn what_fails_after_another_did_has_run_all_the_same() {
    let old = Digest::sha256(b"old");
    let running = observe(None, report("old", Status::Running, None), 0).now;
    let other = observe(Some(&running), report("new", Status::Failed, None), 40).now;
    let broke = observe(Some(&other), report("old", Status::Failed, None), 70).now;
    assert_eq!(broke.differs_since(&old, at(50), at(-1000)), Some(at(70)));
}

#[test]
fn a_rollout_that_fails_leaves_what_runs() {
    let first = observe(None, report("a", Status::Running, Some(true)), 0).now;
    let failed = observe(Some(&first), report("b", Status::Failed, None), 10).now;
    let running = failed.running.clone().unwrap();
    assert_eq!((running.digest, running.since), (Digest::sha256(b"a"), at(0)));
    // What watches the target goes on reporting what it sees there.
    let seen = observe(Some(&failed), report("a", Status::Running, Some(true)), 11).now;
    assert_eq!((seen.since, seen.status_since, seen.healthy), (at(0), at(11), Some(true)));
    let runs = observe(Some(&seen), report("b", Status::Running, None), 20).now;
    assert_eq!(runs.running.unwrap().since, at(20));
    let broke = observe(Some(&seen), report("a", Status::Failed, None), 20).now;
    assert_eq!(broke.running, None, "what ran there has failed itself");
}

#[test]
fn a_target_is_retired_with_all_it_had() {
    let first = observe(None, report("a", Status::Running, Some(true)), 0).now;
    let failed = observe(Some(&first), report("b", Status::Failed, None), 10).now;
    let gone = observe(Some(&failed), report("c", Status::Retired, None), 20);
    assert_eq!((gone.now.digest.clone(), gone.now.running.clone()), (Digest::sha256(b"b"), None));
    let digests: Vec<_> = gone.withdrawn.into_iter().map(|(_, digest)| digest).collect();
    assert_eq!(digests, [Digest::sha256(b"b"), Digest::sha256(b"a")]);
    let linked =
        Report { url: Some("https://ci.example/7".to_owned()), ..report("c", Status::Retired, None) };
    let gone = observe(Some(&gone.now), linked, 25);
    let again = observe(Some(&gone.now), report("c", Status::Retired, None), 30);
    assert!(!again.is_news);
}

#[test]
fn names_and_addresses_are_refused_that_would_not_do() {
    for bad in ["", "-a", "a b", "a/b", "ä", &"a".repeat(129)] {
        assert_eq!(bad.parse::<Target>().unwrap_err().code, "target_invalid", "{bad}");
    }
    assert!(check_url("https://ci.example/run/7?x=1").is_ok());
    for bad in ["javascript:alert(1)", "ftp://x", "https://u:p@ci.example/", "https://a b", "https://"] {
        assert_eq!(check_url(bad).unwrap_err().code, "deployment_url_invalid", "{bad}");
    }
}
