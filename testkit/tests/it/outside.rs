//! What a seed does not decide is kept out of seeded runs, or told with the line that asked for it.
#![cfg(all(target_os = "linux", not(biotope_sanitized)))]
#![expect(clippy::disallowed_methods, reason = "what a test should not do is what is tested")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use biotope::prelude::*;
use biotope::test;
use biotope::time;

use crate::{failure, real, seeded};

/// The line after this call, as a failure names it.
macro_rules! next_line {
    () => {
        concat!("outside.rs:", line!())
    };
}

#[track_caller]
fn assert_names(text: &str, what: &str, line_before: &str) {
    let (file, line) = line_before.split_once(':').expect("a place");
    let next = format!("{file}:{}", line.parse::<u32>().expect("a line") + 1);
    assert!(text.contains(what) && text.contains(&next), "`{what}` at {next} is not in: {text}");
}

#[test]
fn a_thread_fails_the_test_in_its_own_line() {
    let place = Arc::new(Mutex::new(""));
    let text = failure(seeded(1), || {
        let place = place.clone();
        async move {
            *place.lock().unwrap() = next_line!();
            let thread = std::thread::Builder::new().spawn(|| {});
            assert!(thread.is_err());
        }
    });
    assert_names(&text, "a seeded test starts a thread", &place.lock().unwrap());
}

#[test]
fn a_sleeping_thread_fails_the_test_in_its_own_line_and_does_not_sleep() {
    let place = Arc::new(Mutex::new(""));
    let text = failure(seeded(1), || {
        let place = place.clone();
        async move {
            *place.lock().unwrap() = next_line!();
            std::thread::sleep(Duration::from_secs(3_600));
        }
    });
    assert_names(&text, "a seeded test puts its thread to sleep", &place.lock().unwrap());
}

#[test]
fn a_socket_fails_the_test_in_its_own_line() {
    let place = Arc::new(Mutex::new(""));
    let text = failure(seeded(1), || {
        let place = place.clone();
        async move {
            *place.lock().unwrap() = next_line!();
            let socket = std::net::UdpSocket::bind("127.0.0.1:0");
            assert!(socket.is_err());
        }
    });
    assert_names(&text, "a seeded test opens a socket", &place.lock().unwrap());
}

#[test]
fn clocks_are_those_of_the_run() {
    let dates = Arc::new(Mutex::new(Vec::new()));
    test::test(seeded(3), || {
        let dates = dates.clone();
        async move {
            assert_eq!(Instant::now(), time::now());
            let (begin, date) = (Instant::now(), SystemTime::now());
            time::sleep(secs(3_600)).await;
            assert_eq!(begin.elapsed(), secs(3_600));
            assert_eq!(date.elapsed().expect("it goes forward"), secs(3_600));
            dates.lock().unwrap().push(SystemTime::now());
        }
    });
    let dates = dates.lock().unwrap();
    assert!(dates.windows(2).all(|two| two[0] == two[1]), "{dates:?}");
}

/// Code that waits for the clock would wait for ever: it is told, and goes on.
#[test]
fn whoever_waits_for_the_clock_fails_the_test() {
    let text = failure(seeded(1), || async {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
    });
    assert!(text.contains("waits for the clock, which stands still") && text.contains("outside.rs:"), "{text}");
}

#[test]
fn a_pair_of_sockets_fails_the_test() {
    let text = failure(seeded(1), || async {
        assert!(std::os::unix::net::UnixStream::pair().is_err());
    });
    assert!(text.contains("a seeded test opens sockets") && text.contains("outside.rs:"), "{text}");
}

/// A map's order is the seed's: the same in each run of it, and not the same under all seeds.
#[test]
fn the_order_of_a_hash_map_is_the_seeds() {
    let order_under = |seed| {
        let order = Arc::new(Mutex::new(Vec::new()));
        test::test(test::TestOptions { seeds: None, seed: Some(seed), ..seeded(0) }, || {
            let order = order.clone();
            async move {
                let map: HashMap<u32, ()> = (0..20).map(|n| (n, ())).collect();
                order.lock().unwrap().push(map.into_keys().collect::<Vec<_>>());
            }
        });
        let mut orders = order.lock().unwrap().clone();
        assert_eq!(orders.len(), 2, "a seed alone is run twice");
        assert_eq!(orders[0], orders[1]);
        orders.remove(0)
    };
    let orders: Vec<_> = (0..4).map(order_under).collect();
    assert!(orders.windows(2).any(|two| two[0] != two[1]), "{orders:?}");
    assert_eq!(order_under(3), orders[3]);
}

/// On the real scheduler all of it is as ever; and after a run, on this thread too.
#[test]
fn outside_of_seeded_runs_nothing_is_kept_out() {
    test::test(real(), || async {
        assert!(std::thread::spawn(|| 7).join().is_ok());
        assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
    });
    let begin = Instant::now();
    std::thread::sleep(Duration::from_millis(1));
    assert!(begin.elapsed() >= Duration::from_millis(1));
    assert!(SystemTime::now() > SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600));
}
