//! What systemd is told of a service (`sd_notify`): that it is ready, that it stops, that it lives.
//!
//! Each is a datagram to the socket that the environment names. What cannot be sent is not sent again: systemd then sees a
//! service that says nothing, and acts as its unit has it.

use std::time::Duration;

use biotope_runtime::{node, time};

use super::health;
use crate::supervisor::SupervisorRef;

pub(super) struct Systemd {
    /// How often it wants to hear that the service lives.
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the environment has it; `None` if nobody listens.
    pub(super) fn from_environment() -> Option<Self> {
        std::env::var_os("NOTIFY_SOCKET")?;
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|micros| micros.parse().ok());
        Some(Self { watchdog: micros.map(Duration::from_micros) })
    }

    /// Tells that it stops, if it is to be told anything.
    pub(super) fn stopping(is_told: bool) {
        if is_told {
            tell("STOPPING=1");
        }
    }

    /// Tells that the service is ready, and then twice in the time of the watchdog that it lives, as long as its root
    /// supervisor answers.
    pub(super) async fn accompany(self, root: SupervisorRef) {
        tell("READY=1");
        let Some(watchdog) = self.watchdog else { return };
        loop {
            time::sleep(watchdog / 2).await;
            if health::answers(&node(), &root).await {
                tell("WATCHDOG=1");
            }
        }
    }
}

#[cfg(unix)]
fn tell(what: &str) {
    if let Err(error) = send(what) {
        tracing::warn!(%error, "systemd was not told `{what}`");
    }
}

#[cfg(unix)]
fn send(what: &str) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixDatagram;

    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let socket = UnixDatagram::unbound()?;
    match place.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(what.as_bytes(), &address)?;
        }
        _ => {
            socket.send_to(what.as_bytes(), &place)?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn tell(_: &str) {}
