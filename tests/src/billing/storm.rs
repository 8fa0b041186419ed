//! Many customers' events at once, while the table and Stripe fail. `make bench` lets a greater one blow.

use benches::storm::{Force, blow};

use crate::emulators::Emulator;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_of_events_no_tier_is_wrong_and_no_event_lost() {
    let config = Emulator::Dynoxide.config().await;
    let force = Force {
        seed: 1,
        customers: 30,
        deliveries: 500,
        duplicates_per_cent: 30,
        faults_per_cent: 5,
    };
    let passed = blow(&config, &Emulator::Dynoxide.table().await, force)
        .await
        .unwrap();
    assert!(
        passed.deliveries >= 400 && passed.faults > 50,
        "no storm: {passed:?}"
    );
    assert_eq!((passed.wrong.len(), passed.lost), (0, 0), "{:?}", passed.wrong);
}
