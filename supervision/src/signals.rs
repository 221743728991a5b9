//! What asks a program to stop.

use std::future::Future;

use biotope_runtime::Runtime;

/// Where an application that runs hears that it is to stop: once to stop in order, once more to be killed.
pub trait StopSignals: Send {
    /// Waits for the next signal.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it must not have taken a signal.
    fn next(&mut self) -> impl Future<Output = ()> + Send;
}

/// Each `()` that is sent is a signal. When no sender is left, no more come.
impl StopSignals for tokio::sync::mpsc::Receiver<()> {
    async fn next(&mut self) {
        if self.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// SIGTERM, and SIGINT as Ctrl-C sends it. In a seeded run, which has no outside, none ever come.
pub(crate) struct OsSignals {
    #[cfg(unix)]
    unix: Option<[tokio::signal::unix::Signal; 2]>,
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
        Ok(Self { unix: Some([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]) })
    }
}

#[cfg(unix)]
impl StopSignals for OsSignals {
    async fn next(&mut self) {
        let Some(signals) = &mut self.unix else { return std::future::pending().await };
        std::future::poll_fn(|cx| {
            let received = signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
            if received { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
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
    async fn next(&mut self) {
        let Some(tokio) = &self.tokio else { return std::future::pending().await };
        let pressed = {
            let _within = tokio.enter();
            tokio::signal::ctrl_c()
        };
        if pressed.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
