//! What asks a program to stop.

use std::fmt;
use std::future::Future;

use biotope_runtime::Runtime;

/// A signal of the operating system that asks a program to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopSignal {
    /// SIGTERM, as `kill` and whoever runs services send it.
    Terminate,
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
}

impl StopSignal {
    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Self::Terminate => 15,
            Self::Interrupt => 2,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

/// Where an application that runs hears that it is to stop: once to stop in order, once more to be killed. An equal signal at
/// once is the same one.
pub trait StopSignals: Send {
    /// Waits for the next signal.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it must not have taken a signal.
    fn next(&mut self) -> impl Future<Output = StopSignal> + Send;
}

/// When no sender is left, no more come.
impl StopSignals for tokio::sync::mpsc::Receiver<StopSignal> {
    async fn next(&mut self) -> StopSignal {
        match self.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// SIGTERM, and SIGINT as Ctrl-C sends it. In a seeded run, which has no outside, none ever come.
pub(crate) struct OsSignals {
    #[cfg(unix)]
    unix: Option<[(StopSignal, tokio::signal::unix::Signal); 2]>,
    #[cfg(not(unix))]
    tokio: Option<tokio::runtime::Handle>,
}

#[cfg(unix)]
impl OsSignals {
    /// From now on, these signals no longer end the OS process by themselves.
    pub(crate) fn install(runtime: &Runtime) -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let Some(tokio) = runtime.tokio() else { return Ok(Self { unix: None }) };
        let _within = tokio.enter();
        let terminate = (StopSignal::Terminate, signal(SignalKind::terminate())?);
        let interrupt = (StopSignal::Interrupt, signal(SignalKind::interrupt())?);
        Ok(Self { unix: Some([terminate, interrupt]) })
    }
}

#[cfg(unix)]
impl StopSignals for OsSignals {
    async fn next(&mut self) -> StopSignal {
        let Some(signals) = &mut self.unix else { return std::future::pending().await };
        std::future::poll_fn(|cx| {
            let mut received =
                signals.iter_mut().filter_map(|(name, signal)| signal.poll_recv(cx).is_ready().then_some(*name));
            received.next().map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

#[cfg(not(unix))]
impl OsSignals {
    /// Ctrl-C no longer ends the OS process by itself once it was awaited.
    pub(crate) fn install(runtime: &Runtime) -> std::io::Result<Self> {
        Ok(Self { tokio: runtime.tokio().cloned() })
    }
}

#[cfg(not(unix))]
impl StopSignals for OsSignals {
    async fn next(&mut self) -> StopSignal {
        let Some(tokio) = &self.tokio else { return std::future::pending().await };
        let pressed = {
            let _within = tokio.enter();
            tokio::signal::ctrl_c()
        };
        match pressed.await {
            Ok(()) => StopSignal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
