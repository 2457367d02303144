//! Many subscribers of random speeds, places and lifetimes, with faults: each sees every event once, in order.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use super::*;

const EVENTS: u64 = 60_000;
const SUBSCRIBERS: usize = 6;

/// Subscribes, reads at a changing pace, and now and then leaves or is thrown out, until the last event.
async fn follow(bench: Arc<Bench>, mut random: StdRng) -> Sequence {
    let mut at = random.random_range(0..EVENTS / 2);
    while at < EVENTS {
        let Ok(mut subscriber) = bench.try_subscribe(at).await else {
            continue;
        };
        let batches = random.random_range(1..400);
        let pause = Duration::from_micros(random.random_range(0..2_000));
        for _ in 0..batches {
            if subscriber.at == EVENTS || subscriber.next().await.is_err() {
                break;
            }
            if random.random_ratio(1, 4) {
                sleep(pause).await;
            }
        }
        at = subscriber.at;
    }
    at
}

async fn publish(bench: Arc<Bench>, mut random: StdRng) {
    let mut published = EVENTS / 2;
    while published < EVENTS {
        let burst = random.random_range(1..600).min(EVENTS - published);
        bench.publish(burst);
        published += burst;
        if random.random_ratio(1, 20) {
            bench.source.interrupt();
        }
        sleep(Duration::from_millis(random.random_range(0..8))).await;
    }
}

async fn everybody_gets_everything(seed: u64) {
    let random = |i| StdRng::seed_from_u64(seed * 100 + i);
    let bench = Arc::new(Bench::with_events(EVENTS / 2));
    let publishing = tokio::spawn(publish(Arc::clone(&bench), random(0)));
    let following: Vec<_> = (1..=SUBSCRIBERS as u64)
        .map(|i| tokio::spawn(follow(Arc::clone(&bench), random(i))))
        .collect();
    publishing.await.unwrap();
    for one in following {
        assert_eq!(one.await.unwrap(), EVENTS, "seed {seed}");
    }
    bench.until_readers(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_of_any_speed_get_every_event_once_and_in_order() {
    for seed in 0..5 {
        everybody_gets_everything(seed).await;
    }
}
