//! The child's side: bounds itself, reads one copy from its input, answers on its output, ends.

use std::io::{self, BufWriter, Read};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use super::limits::Limits;
use super::pages;
use super::rejected::Refusal;
use super::wire::{Order, Sender};

/// The argument that turns the program into a PDF-reading child.
pub const READ_PDF: &str = "--read-pdf";

/// To be called first in `main`, before any thread or runtime: when this process was started by a
/// [`super::Reader`] it reads the copy and exits, and never returns.
///
/// Any other process is closed to its children instead: they run as the same user, and could read the keys in
/// its environment and memory through `/proc`. One that cannot be closed exits.
pub fn run_if_asked() {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == READ_PDF)
    {
        std::process::exit(i32::from(run().is_err()));
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        eprintln!("this process cannot be closed to its children: {error}");
        std::process::exit(1);
    }
}

fn run() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let order = Order::decode(&mut input)?;
    bound_this_process(&order.limits)?;

    let mut answer = Sender(BufWriter::new(io::stdout().lock()));
    let mut pdf = Vec::with_capacity(usize::try_from(order.bytes.min(order.limits.bytes_max)).unwrap_or(0));
    input.take(order.limits.bytes_max + 1).read_to_end(&mut pdf)?;
    if pdf.len() as u64 > order.limits.bytes_max {
        return answer.refused(&Refusal::TooLarge {
            max: order.limits.bytes_max,
        });
    }
    let outcome = pages::read(pdf, &order.limits, &order.images, |page| answer.page(page));
    match outcome {
        Ok(()) => answer.end(),
        Err(pages::Ended::Refused(why)) => answer.refused(&why),
        Err(pages::Ended::Unheard(error)) => Err(error),
    }
}

/// From here on nothing in this process can take more, whatever it is made to do.
fn bound_this_process(limits: &Limits) -> io::Result<()> {
    let set = |resource, soft, hard| {
        setrlimit(
            resource,
            Rlimit {
                current: Some(soft),
                maximum: Some(hard),
            },
        )
        .map_err(io::Error::from)
    };
    let cpu = u64::from(limits.cpu_seconds);
    set(
        Resource::As,
        limits.address_space_bytes,
        limits.address_space_bytes,
    )?;
    // Soft below hard: the soft limit's signal tells the reader why the child died.
    set(Resource::Cpu, cpu, cpu + 1)?;
    // No dump of a pupil's copy, and no file written.
    set(Resource::Core, 0, 0)?;
    set(Resource::Fsize, 0, 0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn a_process_that_has_copies_read_is_closed_to_its_children_and_still_starts_them() {
        super::run_if_asked();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
        let child = Command::new("/proc/self/exe")
            .arg("--list")
            .stdout(Stdio::null())
            .status();
        assert!(child.expect("this program starts again").success());
    }
}
