//! What systemd is told of a service (`sd_notify`): that it is ready, that it stops, that it lives.
//!
//! Each is a datagram to the socket that the environment names. What cannot be sent is not sent again: systemd then sees a
//! service that says nothing, and acts as its unit has it.

use std::ffi::OsString;
use std::time::Duration;

use biotope_runtime::{node, time};

use super::health;
use crate::supervisor::SupervisorRef;

#[derive(Clone, Debug)]
pub(super) struct Systemd {
    socket: OsString,
    /// How often it wants to hear that the service lives.
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the environment has it; `None` if nobody listens.
    pub(super) fn from_environment() -> Option<Self> {
        let socket = std::env::var_os("NOTIFY_SOCKET")?;
        let [micros, pid] = ["WATCHDOG_USEC", "WATCHDOG_PID"].map(|name| std::env::var(name).ok());
        Some(Self { socket, watchdog: watchdog(micros.as_deref(), pid.as_deref(), std::process::id()) })
    }

    /// Tells that the service is ready, and then twice in the time of the watchdog that it lives, as long as its root
    /// supervisor answers.
    pub(super) async fn accompany(self, root: SupervisorRef) {
        self.tell("READY=1");
        let Some(watchdog) = self.watchdog else { return };
        loop {
            time::sleep(watchdog / 2).await;
            if health::answers(&node(), &root).await {
                self.tell("WATCHDOG=1");
            }
        }
    }

    pub(super) fn tell(&self, what: &str) {
        if let Err(error) = self.send(what) {
            tracing::warn!(%error, "systemd was not told `{what}`");
        }
    }

    #[cfg(unix)]
    fn send(&self, what: &str) -> std::io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::net::UnixDatagram;

        let socket = UnixDatagram::unbound()?;
        match self.socket.as_bytes() {
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt;
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                socket.send_to_addr(what.as_bytes(), &address)?;
            }
            _ => {
                socket.send_to(what.as_bytes(), &self.socket)?;
            }
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn send(&self, _: &str) -> std::io::Result<()> {
        Err(std::io::Error::other(format!("{:?} is no socket here", self.socket)))
    }
}

/// The time of the watchdog, if there is one and it watches the process `own`.
fn watchdog(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let is_own = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let micros = micros?.parse().ok().filter(|micros| is_own && *micros > 0)?;
    Some(Duration::from_micros(micros))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;
    use crate::application::signals::StopSignal;
    use crate::{App, AppError};

    #[test]
    fn a_watchdog_has_a_time_and_watches_this_process() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), None, 7), second);
        assert_eq!(watchdog(Some("1000000"), Some("7"), 7), second);
        for (micros, pid) in [
            (None, None),
            (Some("0"), None),
            (Some("x"), None),
            (Some("1000000"), Some("8")),
            (Some("1000000"), Some("")),
        ] {
            assert_eq!(watchdog(micros, pid, 7), None, "{micros:?} for {pid:?}");
        }
    }

    /// Goal: a service is ready when it has started, lives while it does, and stops when it is told to.
    /// Method: a socket of this test's stands in for systemd's, and hears what is told, in order.
    #[test]
    fn a_service_tells_that_it_is_ready_that_it_lives_and_that_it_stops() {
        let name = format!("biotope-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("the name is short");
        let socket = UnixDatagram::bind_addr(&address).expect("nobody else has this name");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("it takes one");
        let heard = move || {
            let mut text = [0; 64];
            let length = socket.recv(&mut text).expect("it is told something");
            String::from_utf8_lossy(&text[..length]).into_owned()
        };
        let runtime = biotope_runtime::Runtime::builder();
        let outcome = biotope_runtime::run(runtime, "test", async move {
            let (sender, signals) = tokio::sync::mpsc::channel(1);
            let socket = format!("@{name}").into();
            let systemd = Systemd { socket, watchdog: Some(Duration::from_millis(20)) };
            let service = node().spawn_process(async move |_: biotope_runtime::Process<()>| {
                let outcome = App::new("service").run_beside(signals, Some(systemd)).await;
                assert_eq!(outcome, Ok::<(), AppError>(()));
                Ok(())
            });
            let end = node().ended(&service);
            let heard = biotope_runtime::blocking(move || {
                assert_eq!([heard(), heard(), heard()], ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
                heard
            });
            let heard = heard.await;
            sender.send(StopSignal::Terminate).await?;
            biotope_runtime::blocking(move || while heard() != "STOPPING=1" {}).await;
            assert_eq!(end.await, biotope_runtime::ExitReason::Normal);
            Ok(())
        });
        assert_eq!(outcome.expect("there is a runtime"), Ok(()));
    }
}
