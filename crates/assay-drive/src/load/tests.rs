//! The generator against a service whose every latency is known beforehand.

mod closed;
mod truth;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use assay_core::load::{ErrorKind, Latency, LoadJob, LoadMessage, LoadSummary, Schedule};
use tokio::task::LocalSet;

use self::truth::{Reply, Request, Service};

/// Carries out a plan against the service. Whatever it does, the numbers must add up.
fn measure(service: &Service, plan: &str) -> LoadSummary {
    let plan = assay_core::yaml::read("load.yaml", plan).unwrap();
    let job = LoadJob {
        plan,
        base_url: service.base_url(),
        seed: 7,
        cuts_ms: None,
    };
    carry_out(&job, "", &|_| Ok(())).unwrap()
}

/// Carries out a job; what is asked for stands there from the beginning.
fn carry_out(job: &LoadJob, asks: &str, say: super::progress::Say<'_>) -> Result<LoadSummary, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let asks: super::run::Asks = Arc::new(Mutex::new(std::io::Cursor::new(asks.to_owned())));
    let summary = runtime
        .block_on(LocalSet::new().run_until(super::run::run(job, &asks, say)))
        .map_err(|error| error.to_string())?;
    assert!(summary.adds_up(), "{summary:#?}");
    let line = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<LoadSummary>(&line).unwrap(), summary);
    Ok(summary)
}

/// A plan with one user and one request, `GET /`, at a constant rate.
fn constant(rate: u32, duration: &str, rest_of_scenario: &str, rest: &str) -> String {
    format!(
        "version: 1
users: {{count: 1}}
requests: {{get: {{path: /}}}}
scenarios:
  all: {{executor: constant-arrival-rate, rate: {rate}, duration: {duration}, mix: {{get: 1}}{rest_of_scenario}}}
{rest}"
    )
}

/// The times at which `constant` sends, in seconds.
fn intended(rate: u32, duration: &str) -> Vec<f64> {
    let yaml =
        format!("{{executor: constant-arrival-rate, rate: {rate}, duration: {duration}, mix: {{get: 1}}}}");
    let schedule = Schedule::of(&serde_yaml::from_str(&yaml).unwrap()).unwrap();
    (0..schedule.len())
        .filter_map(|i| schedule.at(i))
        .map(|ns| ns as f64 / 1e9)
        .collect()
}

/// Nearest rank.
fn percentile(latencies: &mut [f64], percent: f64) -> f64 {
    latencies.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * latencies.len() as f64).ceil() as usize;
    latencies[rank.max(1) - 1]
}

/// Generous, since the tests share the machine: what closed-loop tools say here is wrong by a factor of a hundred.
fn assert_near(measured: &Latency, mut truth: Vec<f64>) {
    for (percent, us) in [
        (50.0, measured.p50_us),
        (95.0, measured.p95_us),
        (99.0, measured.p99_us),
    ] {
        let (measured, truth) = (us as f64 / 1e6, percentile(&mut truth, percent));
        let within = 0.06 + truth * 0.1;
        assert!(
            (measured - truth).abs() < within,
            "p{percent}: {measured} s is not {truth} s"
        );
    }
}

#[test]
fn a_frozen_service_is_seen_by_all_who_came_meanwhile() {
    const FAST: f64 = 0.005;
    const FROZEN: std::ops::Range<f64> = 0.8..1.8;
    let release = |at: f64| {
        if FROZEN.contains(&(at + FAST)) {
            FROZEN.end
        } else {
            at + FAST
        }
    };
    let service = Service::start(move |_: &Request, since_first: Duration| {
        let at = since_first.as_secs_f64();
        std::thread::sleep(Duration::from_secs_f64(release(at) - at));
        Reply::json(200, "{}")
    });
    let summary = measure(&service, &constant(150, "2400ms", "", ""));
    assert_eq!(summary.total.counts.ok, 360);
    let truth = intended(150, "2400ms")
        .into_iter()
        .map(|at| release(at) - at)
        .collect();
    assert_near(&summary.total.latency, truth);
    assert!(
        summary.timeline.rows[0].p50_us < 200_000,
        "{:?}",
        summary.timeline
    );
    assert!(
        summary.timeline.rows[1].p50_us > 200_000,
        "{:?}",
        summary.timeline
    );
}

#[test]
fn an_overloaded_service_gets_slower_and_slower() {
    const EACH: f64 = 0.01;
    let free_at = Mutex::new(0.0_f64);
    let service = Service::start(move |_: &Request, since_first: Duration| {
        let at = since_first.as_secs_f64();
        let done = {
            let mut free_at = free_at.lock().unwrap();
            *free_at = free_at.max(at) + EACH;
            *free_at
        };
        std::thread::sleep(Duration::from_secs_f64(done - at));
        Reply::json(200, "{}")
    });
    let summary = measure(&service, &constant(150, "1500ms", "", ""));
    let mut free_at = 0.0_f64;
    let truth = intended(150, "1500ms").into_iter().map(|at| {
        free_at = free_at.max(at) + EACH;
        free_at - at
    });
    assert_near(&summary.total.latency, truth.collect());
    assert_eq!(summary.total.counts.sent, 225);
}

#[test]
fn arrivals_without_a_free_connection_wait_and_then_are_dropped() {
    let service = Service::start(|_: &Request, _| {
        std::thread::sleep(Duration::from_millis(100));
        Reply::json(200, "{}")
    });
    let thresholds =
        "timeout: 500ms\nthresholds: {dropped_iterations: [\"count<1\"], http_reqs: [\"count>1\"]}";
    let summary = measure(
        &service,
        &constant(50, "2s", ", preAllocatedVUs: 1, maxVUs: 2", thresholds),
    );
    let counts = &summary.total.counts;
    // 20 of 50 a second can be served; a waiting line of half a second is 10 of them.
    assert!((35..=60).contains(&counts.ok), "{counts:?}");
    assert!(counts.dropped + counts.unsent >= 40, "{counts:?}");
    assert_eq!(summary.total.latency.count, 100);
    assert!(
        summary.total.latency.p95_us >= 490_000,
        "{:?}",
        summary.total.latency
    );
    // A closed-loop tool would say that all is well.
    assert!(
        summary.total.service.p50_us < 200_000,
        "{:?}",
        summary.total.service
    );
    assert!(summary.sender.connections <= 2, "{:?}", summary.sender);
    assert!(summary.sender.waited >= 80, "{:?}", summary.sender);
    assert_eq!(
        summary.thresholds.iter().map(|t| t.ok).collect::<Vec<_>>(),
        [false, true]
    );
}

#[test]
fn errors_are_told_apart() {
    let service = Service::start(|request: &Request, _| match request.path.as_str() {
        "/broken" => Reply::json(500, "{}"),
        "/missing" => Reply::json(404, "{}"),
        "/gone" => Reply::Close,
        "/garbage" => Reply::Raw(b"this is not HTTP\r\n\r\n".to_vec()),
        "/late" => {
            std::thread::sleep(Duration::from_millis(600));
            Reply::json(200, "{}")
        }
        "/text" => Reply::json(200, "hello"),
        "/big" => Reply::json(200, &"x".repeat(3_000)),
        "/wrong" => Reply::json(200, r#"{"n": 2}"#),
        _ => Reply::json(200, "{}"),
    });
    let plan = r#"
version: 1
timeout: 300ms
maxBody: 2KiB
checkEvery: 1
users: {count: 1}
requests:
  broken: {path: /broken}
  missing: {path: /missing}
  gone: {path: /gone}
  garbage: {path: /garbage}
  late: {path: /late}
  text: {path: /text, expect: {json: [{at: /n}]}}
  big: {path: /big}
  wrong: {path: /wrong, expect: {json: [{at: /n, equals: 1}]}}
  lost: {path: "/items/${captured.item.id}", keep: {pool: item, fields: {id: {json: /id}}}}
scenarios:
  all:
    executor: constant-arrival-rate
    rate: 120
    duration: 1s
    mix: {broken: 1, missing: 1, gone: 1, garbage: 1, late: 1, text: 1, big: 1, wrong: 1, lost: 1}
"#;
    let summary = measure(&service, plan);
    let kinds: BTreeMap<&str, Vec<ErrorKind>> = summary
        .endpoints
        .iter()
        .map(|(name, outcome)| (name.as_str(), outcome.counts.errors.keys().copied().collect()))
        .collect();
    let expected = BTreeMap::from([
        ("big", vec![ErrorKind::Body]),
        ("broken", vec![ErrorKind::ServerError]),
        ("garbage", vec![ErrorKind::Protocol]),
        ("gone", vec![ErrorKind::Reset]),
        ("late", vec![ErrorKind::Timeout]),
        ("lost", vec![ErrorKind::NoData]),
        ("missing", vec![ErrorKind::Status]),
        ("text", vec![ErrorKind::Body]),
        ("wrong", vec![ErrorKind::Check]),
    ]);
    assert_eq!(kinds, expected);
    assert_eq!(summary.total.counts.ok, 0);
    assert_eq!(
        summary.endpoints["missing"].statuses.keys().collect::<Vec<_>>(),
        [&404]
    );
    // Nobody was faster than the time limit by failing; what really happened is in the service time.
    assert!(
        summary.total.latency.min_us >= 299_000,
        "{:?}",
        summary.total.latency
    );
    assert!(summary.endpoints["broken"].service.p50_us < 200_000);
    assert!(summary.endpoints["late"].service.min_us >= 299_000);
    assert_eq!(
        summary.endpoints["wrong"].checks.examples[0].message,
        "/n is 2, 1 was expected"
    );
    assert_eq!(summary.total.checks.examples.len(), LoadSummary::MAX_EXAMPLES);
}

#[test]
fn a_service_that_is_not_there_is_refused() {
    let service = Service::start(|_: &Request, _| Reply::json(200, "{}"));
    let (base_url, plan) = (service.base_url(), constant(50, "200ms", "", ""));
    drop(service);
    let service = Service::absent(base_url);
    let summary = measure(&service, &plan);
    assert_eq!(
        summary.total.counts.errors,
        BTreeMap::from([(ErrorKind::Refused, 10)])
    );

    let setup = "{count: 3, setup: [{name: log in, request: {method: POST, path: /token}}]}";
    let summary = measure(&service, &plan.replace("{count: 1}", setup));
    assert!(!summary.was_set_up());
    assert_eq!(summary.setup.failed[0].name, "log in");
    assert!(
        summary.setup.failed[0]
            .message
            .starts_with("user 1: no connection: "),
        "{:?}",
        summary.setup
    );
    assert!(!summary.setup.late);
    assert_eq!(summary.total.counts.scheduled, 0);
}

#[test]
fn users_that_could_not_be_made_in_time_are_told_apart() {
    let service = Service::start(|_: &Request, _| {
        std::thread::sleep(Duration::from_millis(600));
        Reply::json(200, "{}")
    });
    let setup = "{count: 3, setup: [{name: log in, request: {method: POST, path: /token}}]}";
    let plan = constant(50, "200ms", "", "timeout: 300ms").replace("{count: 1}", setup);
    let summary = measure(&service, &plan);
    assert!(summary.setup.late, "{:?}", summary.setup);
}

#[test]
fn users_remember_what_the_service_told_them() {
    let service = truth::items();
    let plan = r#"
version: 1
checkEvery: 1
users:
  count: 3
  headers: {authorization: "Bearer ${user.token}"}
  setup:
    - name: log in
      request:
        method: POST
        path: /token
        body: {name: "user_${user.number}"}
        set: {token: {json: /token}}
    - name: seed
      repeat: 2
      request:
        method: POST
        path: /bulk
        body: {items: {$repeat: 5, $item: {title: "${random.words(2)} ${index}"}}}
        keep: {pool: item, each: /items, fields: {id: {json: /id}, version: {json: /version}}}
        count: {items: 5}
requests:
  create:
    method: POST
    path: /items
    body: {title: "a title, \"${random.word}\" & more"}
    expect: {status: [201], headers: [{name: etag, equals: "\"1\""}], json: [{at: /title, sent: /title}, {at: /id, is: string}]}
    keep: {pool: item, fields: {id: {json: /id}, version: {json: /version}}}
    count: {items: 1}
  change:
    method: PATCH
    path: "/items/${captured.item.id}"
    headers: {if-match: "\"${captured.item.version}\""}
    body: {title: "${random.words(3)}"}
    take: [item]
    expect: {json: [{at: /id, equals: "${captured.item.id}"}, {at: /title, sent: /title}]}
    keep: {pool: item, fields: {id: {json: /id}, version: {json: /version}}}
scenarios:
  warm: {executor: constant-arrival-rate, rate: 40, duration: 500ms, warmUp: true, mix: {create: 1}}
  ramp:
    executor: ramping-arrival-rate
    startTime: 500ms
    startRate: 20
    stages: [{target: 120, duration: 1s}]
    mix: {create: 1, change: 3}
thresholds:
  http_req_failed: ["rate==0"]
  checks: ["rate==1"]
  "http_req_duration{endpoint:change}": ["p(95)<2000"]
verify:
  - name: nothing is lost
    request: {path: /stats, expect: {json: [{at: /total, counter: items}]}}
  - name: all that is known can be changed, until nothing is left
    repeat: 100
    request:
      method: PATCH
      path: "/items/${captured.item.id}"
      headers: {if-match: "\"${captured.item.version}\""}
      body: {title: last}
      take: [item]
"#;
    let summary = measure(&service, plan);
    let counts = &summary.total.counts;
    assert_eq!(
        (counts.scheduled, counts.ok),
        (70, 70),
        "{:?}",
        summary.total.checks
    );
    assert_eq!(summary.warm_up.as_ref().map(|counts| counts.ok), Some(20));
    assert_eq!(summary.scenarios.keys().collect::<Vec<_>>(), ["ramp"]);
    assert!(summary.endpoints["change"].counts.ok > summary.endpoints["create"].counts.ok);
    assert_eq!((summary.setup.users, summary.setup.requests), (3, 9));
    assert!(
        summary.thresholds.iter().all(|threshold| threshold.ok),
        "{:?}",
        summary.thresholds
    );
    for verified in &summary.verification {
        assert_eq!((verified.passed, verified.failed), (3, 0), "{verified:?}");
    }
    assert!(summary.timeline.rows[0].warm_up);

    // The same service, but it forgets every tenth item.
    let summary = measure(&truth::forgetful_items(), plan);
    let verified = &summary.verification[0];
    assert_eq!((verified.passed, verified.failed), (0, 3));
    assert!(
        verified.examples[0].message.contains("was expected"),
        "{verified:?}"
    );
}

#[test]
fn an_idle_connection_that_the_service_closed_costs_nothing() {
    // Ten requests, then the service closes the connection without saying so beforehand.
    let service = Service::start_closing_after(10, |_: &Request, _| Reply::json(200, "{}"));
    let summary = measure(&service, &constant(100, "1s", ", preAllocatedVUs: 1", ""));
    assert_eq!(summary.total.counts.ok, 100, "{:?}", summary.total.counts);
    assert!(
        (10..60).contains(&summary.sender.connections),
        "{:?}",
        summary.sender
    );
}

#[test]
fn the_histogram_can_be_read_by_anyone() {
    use base64::Engine as _;
    let service = Service::start(|_: &Request, _| Reply::json(200, "{}"));
    let began = Instant::now();
    let summary = measure(&service, &constant(100, "500ms", "", ""));
    assert!(began.elapsed() < Duration::from_secs(5));
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(&summary.total.histogram)
        .unwrap();
    let read: hdrhistogram::Histogram<u64> = hdrhistogram::serialization::Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .unwrap();
    assert_eq!(read.len(), 50);
    assert_eq!(read.value_at_quantile(0.95), summary.total.latency.p95_us);
    assert_eq!(
        summary
            .total
            .buckets
            .iter()
            .map(|bucket| bucket.count)
            .sum::<u64>(),
        50
    );
    assert_eq!(summary.total.latency.p999_us, None);
}

#[test]
fn a_job_in_windows_waits_for_a_word_before_each() {
    let service = Service::start(|_: &Request, _| Reply::json(200, "{}"));
    let plan = constant(100, "300ms", "", "");
    let job = LoadJob {
        plan: assay_core::yaml::read("load.yaml", &plan).unwrap(),
        base_url: service.base_url(),
        seed: 7,
        cuts_ms: Some(vec![100, 150]),
    };
    let led = |asks: &str| {
        let pauses = Mutex::new(Vec::new());
        let outcome = carry_out(&job, asks, &|message| {
            if let LoadMessage::Paused(paused) = message {
                assert_eq!(paused.sent, paused.ok + paused.errors);
                pauses.lock().unwrap().push(paused.sent);
            }
            Ok(())
        });
        (
            pauses.into_inner().unwrap(),
            outcome.map(|summary| summary.total.counts.ok),
        )
    };
    // The pause after the set-up, then one after each window; requests of one kind are in none of the numbers.
    let in_turns = r#"
{"window":0}
{"window":1}
{"only":{"request":"get","count":4}}
{"window":2}
"finish""#;
    assert_eq!(led(in_turns), (vec![0, 10, 5, 4, 15], Ok(30)));
    // The end of the input is the end of the job: what was not asked for was not sent.
    assert_eq!(led(r#"{"window":0}"#), (vec![0, 10], Ok(10)));
    for (wrong, why) in [
        (r#"{"window":1}"#, "window 1 of 3, not 0"),
        (
            r#"{"only":{"request":"put","count":1}}"#,
            "there is no request `put`",
        ),
        (r#""dance""#, "unknown variant `dance`"),
    ] {
        let error = led(wrong).1.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn what_is_intended_does_not_depend_on_the_windows() {
    let plan = constant(200, "500ms", "", "");
    let lateness = |cuts_ms| {
        let service = Service::start(|_: &Request, _| Reply::json(200, "{}"));
        let job = LoadJob {
            plan: assay_core::yaml::read("load.yaml", &plan).unwrap(),
            base_url: service.base_url(),
            seed: 7,
            cuts_ms,
        };
        let asks = (0..3)
            .map(|i| format!("{{\"window\":{i}}}\n"))
            .collect::<String>();
        carry_out(&job, &asks, &|_| Ok(())).unwrap()
    };
    let (whole, cut) = (lateness(None), lateness(Some(vec![200, 400])));
    assert_eq!(cut.total.counts, whole.total.counts);
    // A pause is in no latency and stretches no time.
    assert!(
        cut.elapsed_ms.abs_diff(whole.elapsed_ms) < 200,
        "{} {}",
        cut.elapsed_ms,
        whole.elapsed_ms
    );
    assert!(cut.total.latency.p50_us < 100_000, "{:?}", cut.total.latency);
}
