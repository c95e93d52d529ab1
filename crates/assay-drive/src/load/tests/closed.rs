//! The closed model, and Poisson arrivals.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assay_core::load::{Arrivals, Model, Schedule};

use super::measure;
use super::truth::{Reply, Request, Service};

/// A plan with users who ask for their own path.
fn users(scenario: &str) -> String {
    format!(
        "{{version: 1, users: {{count: 3}}, requests: {{get: {{path: '/${{user.number}}'}}}}, \
         scenarios: {{crowd: {{{scenario}, mix: {{get: 1}}}}}}}}"
    )
}

/// Requests by path.
type Asked = Arc<Mutex<BTreeMap<String, u64>>>;

/// A service that takes 20 ms, counts who asked how often, and remembers how many asked at the same time.
fn counting() -> (Service, Asked, Arc<AtomicUsize>) {
    let asked = Asked::default();
    let peak = Arc::new(AtomicUsize::new(0));
    let (by_path, most, now) = (Arc::clone(&asked), Arc::clone(&peak), AtomicUsize::new(0));
    let service = Service::start(move |request: &Request, _| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        *by_path.lock().unwrap().entry(request.path.clone()).or_default() += 1;
        now.fetch_sub(1, Ordering::SeqCst);
        Reply::json(200, "{}")
    });
    (service, asked, peak)
}

#[test]
fn users_ask_one_request_after_the_other() {
    let (service, asked, peak) = counting();
    let summary = measure(
        &service,
        &users("executor: constant-vus, vus: 3, duration: 800ms"),
    );
    assert_eq!(summary.model, Model::Closed);
    let counts = &summary.total.counts;
    // 40 each at the very most.
    assert!(
        (12..=120).contains(&counts.ok) && counts.ok == counts.scheduled,
        "{counts:?}"
    );
    assert_eq!(asked.lock().unwrap().len(), 3);
    assert_eq!(peak.load(Ordering::SeqCst), 3);
    assert!(
        summary.total.latency.p50_us >= 20_000,
        "{:?}",
        summary.total.latency
    );

    let thoughtful = measure(
        &service,
        &users("executor: constant-vus, vus: 3, duration: 800ms, thinkTime: 180ms"),
    );
    assert!(
        (3..=15).contains(&thoughtful.total.counts.ok),
        "{:?}",
        thoughtful.total.counts
    );
}

#[test]
fn users_ask_as_often_as_the_plan_says() {
    let (service, asked, _) = counting();
    let summary = measure(
        &service,
        &users("executor: per-vu-iterations, vus: 3, iterations: 4"),
    );
    assert_eq!(summary.total.counts.ok, 12);
    let each = ["/1", "/2", "/3"].map(|path| (path.to_owned(), 4));
    assert_eq!(*asked.lock().unwrap(), BTreeMap::from(each));
}

#[test]
fn users_come_one_by_one() {
    let (service, _, peak) = counting();
    let ramp = "executor: ramping-vus, startVUs: 1, stages: [{target: 1, duration: 300ms}, {target: 3, duration: 0s}, \
        {target: 3, duration: 300ms}]";
    let summary = measure(&service, &users(ramp));
    assert_eq!(peak.load(Ordering::SeqCst), 3);
    // One user for 300 ms asks 15 times at most, three for 300 ms 45 times.
    assert!(
        (5..=61).contains(&summary.total.counts.ok),
        "{:?}",
        summary.total.counts
    );
}

#[test]
fn poisson_arrivals_are_sent_as_they_were_drawn() {
    let service = Service::start(|_: &Request, _| Reply::json(200, "{}"));
    let scenario = "executor: constant-arrival-rate, rate: 100, duration: 1s, arrival: poisson";
    let summary = measure(&service, &users(scenario));
    let schedule = Schedule::of(&serde_yaml::from_str(&format!("{{{scenario}, mix: {{get: 1}}}}")).unwrap());
    let drawn = Arrivals::of(&[schedule.ok()], summary.seed).count();
    assert_eq!(summary.model, Model::Open);
    assert_eq!(summary.total.counts.ok, drawn as u64);
    assert!((60..140).contains(&drawn), "{drawn}");
}
