use std::sync::Arc;

use haldane_core::{Class, Event, Kind, Sighting, Window};

use super::*;

static LOGIN: Kind = Kind::new(30000, "test.login", Class::Login, Severity::High, "Test login");

fn record(seq: u64) -> Record {
    let event = Event::operational(Sighting::of(&LOGIN), (Uuid::nil(), SystemTime::UNIX_EPOCH));
    Record { seq, event: Arc::new(event) }
}

fn local(text: &str) -> SystemTime {
    let at: jiff::civil::DateTime = text.parse().unwrap();
    TimeZone::system().to_timestamp(at).unwrap().try_into().unwrap()
}

#[test]
fn digests_come_at_the_full_hour_and_at_eight() {
    for (digest, now, due) in [
        (Digest::Hourly, "2026-11-24T14:05", "2026-11-24T15:00"),
        (Digest::Hourly, "2026-11-24T23:00", "2026-11-25T00:00"),
        (Digest::Daily, "2026-11-24T07:59", "2026-11-24T08:00"),
        (Digest::Daily, "2026-11-24T08:00", "2026-11-25T08:00"),
        (Digest::Daily, "2026-12-31T22:00", "2027-01-01T08:00"),
    ] {
        assert_eq!(next(digest, local(now)), Some(local(due)), "{now}");
    }
}

#[test]
fn a_digest_that_is_due_is_told_once_and_settles_the_cursor() {
    let hearing = Hearing { digest: Digest::Hourly, ..Hearing::default() };
    let clock = |text: &str| Clock { at: Instant::now(), wall: local(text) };
    let (mut ear, record) = (Ear::default(), record(7));
    assert_eq!(ear.judge(&hearing, 6, &record, clock("2026-11-24T14:05")), Verdict::Count);
    assert_eq!((ear.settled(7), ear.summary(&hearing, clock("2026-11-24T14:59")).is_none()), (6, true));
    let told = ear.summary(&hearing, clock("2026-11-24T15:00")).unwrap();
    assert_eq!((told.event.kind, told.seq), (&DIGEST, 7));
    assert_eq!((ear.settled(7), ear.summary(&hearing, clock("2026-11-24T16:00")).is_none()), (7, true));
}

#[test]
fn after_quiet_hours_what_waited_is_read_again_and_what_was_told_is_not_told_again() {
    let quiet = Window::of_hours("22:00-06:00");
    let hearing = Hearing { quiet, ..Hearing::default() };
    let clock = |text: &str| Clock { at: Instant::now(), wall: local(text) };
    let night = clock("2026-11-24T23:00");
    let (first, mut second) = (record(1), record(2));
    Arc::make_mut(&mut second.event).severity = Severity::Critical;
    let mut ear = Ear::default();
    assert_eq!(ear.judge(&hearing, 0, &first, night), Verdict::Wait);
    assert_eq!(ear.judge(&hearing, 1, &second, night), Verdict::Tell);
    assert_eq!((ear.rewind(&hearing, night), ear.settled(2)), (None, 0));
    let morning = clock("2026-11-25T06:00");
    assert_eq!(ear.rewind(&hearing, morning), Some(0));
    assert_eq!(ear.judge(&hearing, 0, &first, morning), Verdict::Tell);
    assert_eq!(ear.judge(&hearing, 1, &second, morning), Verdict::Pass);
    assert_eq!(ear.settled(2), 2);
}

#[test]
fn the_number_of_critical_ones_is_told_in_quiet_hours_and_nobody_is_woken_for_others() {
    let (quiet, rate) =
        (Window::of_hours("22:00-06:00"), Some(Rate { most: 1, per: Duration::from_secs(60) }));
    let hearing = Hearing { quiet, rate, ..Hearing::default() };
    let at = |at: Instant| Clock { at, wall: local("2026-11-24T23:00") };
    let begun = Instant::now();
    let critical = |seq| {
        let mut record = record(seq);
        Arc::make_mut(&mut record.event).severity = Severity::Critical;
        record
    };
    let mut ear = Ear::default();
    assert_eq!(ear.judge(&hearing, 0, &record(1), at(begun)), Verdict::Wait);
    assert!(ear.due(&hearing, at(begun)) >= Some(LOOK));
    assert_eq!(ear.judge(&hearing, 1, &critical(2), at(begun)), Verdict::Tell);
    assert_eq!(ear.judge(&hearing, 2, &critical(3), at(begun)), Verdict::Count);
    let told = ear.summary(&hearing, at(begun)).unwrap();
    assert_eq!((told.event.kind, told.event.severity), (&SUPPRESSED, Severity::Critical));
}
