//! The test kit fails where it must, and says what differs.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};

use foldline_sdk::testing::{Outcome, event, given};
use foldline_sdk::{Event, ReadModel, Result, Table, bail, projection};

#[derive(Table)]
struct Total {
    #[key]
    name: String,
    events: i64,
}

#[projection(name = "totals", version = 1, subjects = ["count.*", "misbehave.>"], tables = [Total])]
fn totals(event: &Event, rows: &mut ReadModel) -> Result<()> {
    let name = event.subject_token(1).unwrap_or_default();
    match event.subject_token(2) {
        None => count(rows, name, |total| total.events += 1),
        Some("remember") => {
            let remembered = REMEMBERED.get() + 1;
            REMEMBERED.set(remembered);
            count(rows, name, |total| total.events = remembered)
        }
        Some("random") => {
            let random = RUNS.fetch_add(1, Ordering::Relaxed);
            count(rows, &format!("{name}-{random}"), |total| total.events = 1)
        }
        Some("moody") if REMEMBERED.replace(1) == 1 => bail!("not twice in a row"),
        Some("moody") => Ok(()),
        Some("ramble") => bail!("{}", "ö".repeat(5_000)),
        Some("reject") => bail!("{name} is not wanted"),
        Some(what) => panic!("{what}!"),
    }
}

thread_local! {
    /// Memory of the guest that a projection must not rely on.
    static REMEMBERED: Cell<i64> = const { Cell::new(0) };
}

/// Something that is not in the events.
static RUNS: AtomicI64 = AtomicI64::new(0);

fn count(rows: &mut ReadModel, name: &str, change: impl FnOnce(&mut Total)) -> Result<()> {
    rows.upsert(name, || total(name, 0), change)
}

fn total(name: &str, events: i64) -> Total {
    Total {
        name: name.to_owned(),
        events,
    }
}

fn run(subjects: &[&str]) -> Outcome<totals> {
    given::<totals>(subjects.iter().map(|subject| event(*subject)))
}

/// The text of the failed check.
fn failure(check: impl FnOnce()) -> String {
    let Err(cause) = catch_unwind(AssertUnwindSafe(check)) else {
        panic!("the check should have failed");
    };
    let text = cause.downcast_ref::<String>().cloned();
    text.or_else(|| cause.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

fn differs(found: &[&str], expected: Vec<Total>) -> String {
    failure(|| {
        run(found).then(expected);
    })
}

#[test]
fn equal_rows_pass_in_any_order() {
    run(&["count.b", "count.a", "count.b"]).then([total("a", 1), total("b", 2)]);
    run(&[]).then::<Total>([]);
}

#[test]
fn the_first_difference_is_named() {
    let column = differs(&["count.a", "count.b"], vec![total("a", 1), total("b", 3)]);
    assert_eq!(
        column,
        "table `totals`, row \"b\", column `events`\n  expected: 3\n  found: 1"
    );
    let missing = differs(&["count.b"], vec![total("a", 1), total("b", 3)]);
    assert!(
        missing.starts_with(
            "table `totals`, row \"a\": missing\n  expected: { name: \"a\", events: 1 }"
        ),
        "{missing}"
    );
    let one_too_many = differs(&["count.a", "count.b"], vec![total("a", 1)]);
    assert!(
        one_too_many.starts_with("table `totals`, row \"b\": one too many"),
        "{one_too_many}"
    );
    let twice = differs(&["count.a"], vec![total("a", 1), total("a", 1)]);
    assert!(
        twice.contains("two expected rows have the same key"),
        "{twice}"
    );
}

#[test]
fn rows_that_depend_on_memory_are_found() {
    run(&["misbehave.a.remember"]).then([total("a", 1)]);
    let failure = differs(
        &["misbehave.a.remember", "misbehave.a.remember"],
        vec![total("a", 2)],
    );
    assert!(
        failure.starts_with("the rows depend on how the events are cut into batches"),
        "{failure}"
    );
    let difference = "table `totals`, row \"a\", column `events`\n  all events in one batch: 2\n  one event per batch: 1";
    assert!(failure.ends_with(difference), "{failure}");
}

#[test]
fn rows_that_depend_on_chance_are_found() {
    let failure = differs(&["misbehave.a.random"], vec![]);
    assert!(
        failure.contains("or on something that is not in the events"),
        "{failure}"
    );
}

#[test]
fn rejections_that_depend_on_memory_are_found() {
    let failure = differs(&["misbehave.a.moody", "misbehave.b.moody"], vec![]);
    assert!(
        failure.contains(
            "all events in one batch: event 1 (`misbehave.b.moody`) was rejected: not twice"
        ),
        "{failure}"
    );
    assert!(
        failure.contains("one event per batch: every event was applied"),
        "{failure}"
    );
}

#[test]
fn a_rejected_event_leaves_the_rows_of_those_before_it() {
    run(&["count.a", "count.a", "misbehave.a.reject"])
        .then_rejects("a is not wanted")
        .and([total("a", 2)]);
}

#[test]
fn the_reason_of_a_rejection_has_a_limit() {
    let failure = differs(&["misbehave.a.ramble"], vec![]);
    assert_eq!(failure.matches('ö').count(), 1_000);
    assert!(failure.ends_with("ö…"));
}

#[test]
fn a_rejection_nobody_expects_fails_the_test() {
    let failure = differs(&["count.a", "misbehave.a.reject"], vec![total("a", 1)]);
    assert_eq!(
        failure,
        "event 1 (`misbehave.a.reject`) was rejected: a is not wanted"
    );
}

#[test]
fn an_expected_rejection_must_be_that_of_the_last_event_with_that_reason() {
    let rejects = |subjects: &[&str], reason: &str| {
        failure(|| {
            run(subjects).then_rejects(reason);
        })
    };
    assert!(
        rejects(&["count.a"], "why")
            .contains("should have been rejected (why), but all were applied")
    );
    assert!(
        rejects(&["misbehave.a.reject", "count.a"], "not wanted")
            .starts_with("not the last event: event 0")
    );
    assert!(
        rejects(&["misbehave.a.reject"], "why")
            .starts_with("the reason does not contain \"why\": event 0")
    );
}

#[test]
fn a_panic_names_the_event() {
    let failure = differs(&["count.a", "count.b", "misbehave.a.tripped"], vec![]);
    assert_eq!(
        failure,
        "the projection panicked at event 2 (`misbehave.a.tripped`): tripped!"
    );
}

#[test]
fn an_event_the_projection_never_sees_is_a_slip_of_the_pen() {
    let failure = differs(&["count.a", "count.a.b"], vec![total("a", 1)]);
    assert!(
        failure.starts_with("event 1 has the subject `count.a.b`, which none of"),
        "{failure}"
    );
}
