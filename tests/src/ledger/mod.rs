//! The ledger's invariants, on both emulators.
//!
//! | | |
//! |---|---|
//! | I1 | granted = used + reserved + remaining, all ≥ 0 |
//! | I2 | the counter equals the fold of its entries, and each run's `used` the sum of its charges |
//! | I3 | each reservation resolves once; each copy has at most one charge and one proposal a run |
//! | I4 | every accepted copy is in the outbox, the queue, a lease, or an end state |
//! | I6 | leases, and so model calls, of a copy are bounded |
//! | I7 | a change of tier never makes `remaining` negative, and an old settle never touches a new period |

mod again;
mod faults;
pub(crate) mod histories;
mod periods;
mod preparation;
mod races;
mod regrades;
mod rules;
mod slack;
mod starting;
mod sweep;
mod waiting;
pub(crate) mod world;

/// One test a case and emulator: `on_both!(case_name)` runs `async fn case_name(emulator)` on each.
macro_rules! on_both {
    ($($case:ident)*) => {
        mod on_ministack {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case($crate::emulators::Emulator::Ministack).await;
            })*
        }
        mod on_dynoxide {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case($crate::emulators::Emulator::Dynoxide).await;
            })*
        }
    };
}
use on_both;
