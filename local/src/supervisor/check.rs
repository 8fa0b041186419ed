//! What must be true before anything starts: the tools are there, the ports are free, nobody else runs on the
//! same state. Each refusal says what to do.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::io::{FdFlags, fcntl_setfd};
use shared::clock::Clock;
use shared::domain::time::UnixMillis;
use shared::llm::prices::Prices;
use tokio::time::Instant;

use super::settings::Ports;
use crate::emulator::installed;

/// How long the programs of a supervisor that was killed may take to end: the emulator saves its state first.
const ORPHANS_PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Keeps a second supervisor away from the same state for as long as it lives, and the next one until its programs
/// have ended.
#[derive(Debug)]
pub(super) struct Hold {
    _lock: File,
    _programs: File,
}

/// Takes the folder of the state for ourselves.
pub(super) async fn hold(folder: &Path) -> anyhow::Result<Hold> {
    // It will hold copies and, with a real model, its key.
    let ours_alone = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let ours_alone =
        ours_alone.and_then(|()| std::fs::set_permissions(folder, Permissions::from_mode(0o700)));
    ours_alone.with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(Hold {
            _lock: lock,
            _programs: programs(folder).await?,
        }),
        Err(std::fs::TryLockError::WouldBlock) => bail!(
            "the local system is already running from this folder: stop it first (Ctrl-C where `make dev` or \
             `make demo` runs)"
        ),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// A lock that every program inherits: it is free when the last of them has ended, whatever became of us. Those of a
/// supervisor that was killed are waited for, since the kernel has asked them to end, and the emulator gives up its port
/// before it has saved what it holds. What does not end is told by the port that it keeps.
async fn programs(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("programs.lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    fcntl_setfd(&lock, FdFlags::empty()).context("programs cannot inherit a lock")?;
    let since = Instant::now();
    while lock.try_lock().is_err() && since.elapsed() < ORPHANS_PATIENCE {
        tokio::time::sleep(POLL).await;
    }
    Ok(lock)
}

/// The model that the workers will be given, by `parameters` or else by the template's defaults, has a price today:
/// a worker without one does not start, and its copies would wait unseen.
pub(super) fn model(
    parameters: &BTreeMap<&'static str, String>,
    template: &serde_json::Value,
) -> anyhow::Result<()> {
    let default = |name: &str| template.pointer(&format!("/Parameters/{name}/Default"))?.as_str();
    let parameter = |name: &str| {
        let chosen = parameters.get(name).map(String::as_str);
        chosen.or_else(|| default(name))
    };
    let overrides = parameter("PricesOverride").filter(|it| !it.is_empty());
    let (provider, model) = (parameter("ModelProvider"), parameter("Model"));
    let today = UnixMillis::new(Clock::system().now_millis());
    Prices::load(overrides)?
        .row(provider.unwrap_or_default(), model.unwrap_or_default(), today)
        .context("MODEL names a model that cannot be paid for")?;
    Ok(())
}

/// Every tool that the system is made of.
pub(super) fn tools() -> anyhow::Result<()> {
    installed("run", "ministack", "run")?;
    installed("run", "cargo-lambda", "run")?;
    for (tool, remedy) in [
        ("cargo", "install Rust: https://rustup.rs"),
        ("setpriv", "install util-linux (Debian: apt install util-linux)"),
    ] {
        if !on_path(tool) {
            bail!("{tool} is missing: {remedy}");
        }
    }
    Ok(())
}

fn on_path(tool: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
}

/// Every port is free, and has one use.
pub(super) fn ports(ports: Ports, with_provider: bool) -> anyhow::Result<()> {
    let mut wanted = vec![
        (ports.aws, "the AWS emulator", "LOCAL_AWS_PORT"),
        (ports.api, "the API", "LOCAL_API_PORT"),
        (ports.stripe, "the local Stripe", "LOCAL_STRIPE_PORT"),
        (ports.web, "the page of the subscription", "LOCAL_WEB_PORT"),
    ];
    if with_provider {
        wanted.push((ports.provider, "the local model provider", "LOCAL_PROVIDER_PORT"));
    }
    for (place, (port, what, variable)) in wanted.iter().enumerate() {
        let taken = wanted[..place].iter().find(|it| it.0 == *port && *port != 0);
        if let Some((_, other, its_variable)) = taken {
            bail!(
                "port {port} is for {other} and for {what}: set {its_variable} or {variable} to another port"
            );
        }
    }
    for (port, what, variable) in wanted {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let remedy = match listener(port) {
                    Some(Listener { pid, name }) => {
                        format!("by {name} (process {pid}): stop it with `kill {pid}`")
                    }
                    None => "by a program that we cannot see".to_owned(),
                };
                bail!("port {port}, for {what}, is taken {remedy}, or set {variable} to another port");
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot listen on port {port}, for {what}"));
            }
        }
    }
    Ok(())
}

struct Listener {
    pid: u32,
    name: String,
}

/// The process that listens on `port`, as far as /proc lets us see: other users' processes stay unknown.
fn listener(port: u16) -> Option<Listener> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .find_map(|table| listening_inode(&std::fs::read_to_string(table).ok()?, port))?;
    let socket = format!("socket:[{inode}]");
    let pids = std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for pid in pids {
        let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        if open
            .flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == &*socket))
        {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            return Some(Listener {
                pid,
                name: name.trim().to_owned(),
            });
        }
    }
    None
}

/// The inode of the socket that listens on `port` in a table of /proc/net (proc(5): the local address is
/// `hex:port`, state 0A is LISTEN, the inode is the tenth field).
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A";
        if listens {
            fields.get(9)?.parse().ok()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_model_without_a_price_is_refused_with_those_that_have_one() {
        let template = super::super::template::read(&crate::emulator::project_root().join("template.yaml"))
            .await
            .unwrap();
        let check = |parameters: &[(&'static str, &str)]| {
            let parameters = parameters
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()));
            model(&parameters.collect(), &template).map_err(|error| format!("{error:#}"))
        };
        check(&[]).unwrap();
        check(&[("ModelProvider", "local"), ("Model", "demo-pas-une-ia")]).unwrap();
        let refusal = check(&[("Model", "claude-nobody")]).unwrap_err();
        for said in [
            "MODEL names",
            "`claude-nobody`",
            "anthropic/claude-sonnet-5-5",
            "PRICES_OVERRIDE",
        ] {
            assert!(refusal.contains(said), "{refusal}");
        }
        let refusal = check(&[("PricesOverride", "[{}]")]).unwrap_err();
        assert!(refusal.contains("PRICES_OVERRIDE is not a list"), "{refusal}");
    }

    #[test]
    fn a_port_has_one_use() {
        let twice = Ports {
            aws: 4566,
            api: 4566,
            provider: 0,
            stripe: 0,
            web: 0,
        };
        let refusal = ports(twice, false).unwrap_err().to_string();
        assert!(refusal.contains("LOCAL_AWS_PORT or LOCAL_API_PORT"), "{refusal}");
    }

    #[test]
    fn a_taken_port_is_named_with_what_holds_it_and_what_to_do() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let refusal = ports(
            Ports {
                aws: free,
                api: port,
                provider: 0,
                stripe: 0,
                web: 0,
            },
            false,
        )
        .unwrap_err()
        .to_string();
        let us = std::process::id();
        assert!(
            refusal.starts_with(&format!("port {port}, for the API, is taken by ")),
            "{refusal}"
        );
        assert!(
            refusal.contains(&format!("`kill {us}`")) && refusal.contains("LOCAL_API_PORT"),
            "{refusal}"
        );
    }
}
