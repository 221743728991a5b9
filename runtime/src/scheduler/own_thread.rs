//! A thread for one process: what is on it need not be `Send`, and its handlers may block.
//!
//! The process has all its turns there, from the first to the last. Whoever would put it on a run queue raises a flag in place of
//! that, and wakes the thread. To the thread it is what it is to a worker: its turn is one stay, after which it waits for
//! the next, or, if it has more to do, goes on; nobody else waits for this thread.
//!
//! In a seeded run there are no threads. There the process has its turns where all have theirs, and it is seen to that this
//! is always the same thread.
#![expect(unsafe_code, reason = "a process is run once for each time that it is submitted")]

use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, ThreadId};

use parking_lot::Mutex;

use super::park::Parker;
use super::worker::Workers;
use crate::priority::Priority;
use crate::process::turn::{After, Board, Turn};
use crate::process::{AnyRef, Ready};
use crate::sync::{AtomicU8, Ordering};

/// Where a process has all its turns.
pub(crate) enum Home {
    /// On a thread of its own.
    Thread(Arc<OwnThread>),
    /// On the one thread of a seeded run, which is known from its first turn on.
    Seeded(OnceLock<ThreadId>),
}

impl Home {
    /// The priority of a process that has its turns there and asks for this one: strict on a thread of its own, so that no
    /// worker picks it.
    pub(crate) fn priority(home: Option<&Self>, asked: Priority) -> Priority {
        match home {
            Some(Self::Thread(_)) => asked.max(Priority::High),
            _ => asked,
        }
    }

    /// The process has a turn here, in a seeded run.
    ///
    /// # Panics
    /// If it had others on another thread.
    pub(crate) fn assert_here(&self) {
        if let Self::Seeded(first) = self {
            let here = thread::current().id();
            assert_eq!(
                *first.get_or_init(|| here),
                here,
                "a seeded run with an actor that has a thread of its own goes on where it began"
            );
        }
    }
}

/// A thread for one process.
pub(crate) struct OwnThread {
    board: Board,
    parker: Parker,
    /// The process, from when it is first submitted until the thread takes it.
    process: Mutex<Option<AnyRef>>,
    /// It was given there.
    is_given: AtomicU8,
    /// It is to have a turn.
    is_ready: AtomicU8,
    /// The runtime is closing.
    is_closed: AtomicU8,
}

impl OwnThread {
    /// Starts a thread for a process that is about to be made.
    fn start(workers: Arc<Workers>) -> std::io::Result<(Arc<Self>, JoinHandle<()>)> {
        let own = Arc::new(Self {
            board: Board::default(),
            parker: Parker::new(),
            process: Mutex::new(None),
            is_given: AtomicU8::new(0),
            is_ready: AtomicU8::new(0),
            is_closed: AtomicU8::new(0),
        });
        let running = own.clone();
        let thread = thread::Builder::new().name("biotope-own".into()).spawn(move || running.work(&workers))?;
        Ok((own, thread))
    }

    /// Gives the process a turn.
    pub(super) fn submit(&self, ready: Ready) {
        // Whoever submits a process is the only one who does.
        if self.is_given.load(Ordering::Relaxed) == 0 {
            self.is_given.store(1, Ordering::Relaxed);
            *self.process.lock() = Some(AnyRef::of(ready.header()));
        }
        self.is_ready.store(1, Ordering::Release);
        self.parker.unpark();
    }

    fn close(&self) {
        self.is_closed.store(1, Ordering::Release);
        self.board.end_turn();
        self.parker.unpark();
    }

    fn work(&self, workers: &Workers) {
        let _tokio = workers.io().handle().enter();
        let turn = Turn::new(&self.board, workers.pool(), workers.home());
        let mut process = None;
        turn.enter(|| {
            while self.is_closed.load(Ordering::Acquire) == 0 {
                if self.is_ready.swap(0, Ordering::Acquire) == 0 {
                    turn.rest();
                    self.parker.park();
                    continue;
                }
                if process.is_none() {
                    process = self.process.lock().take();
                }
                if let Some(process) = &process {
                    // SAFETY: it was submitted once, and this is the one turn for that: nobody else runs it.
                    match unsafe { process.ready().run(&turn) } {
                        After::Again => self.is_ready.store(1, Ordering::Relaxed),
                        After::Nothing if process.is_gone() => break,
                        After::Nothing => {}
                    }
                }
            }
            turn.rest();
        });
        workers.own_threads().forget(self);
    }
}

/// The threads that processes of a runtime have to themselves.
#[derive(Default)]
pub(super) struct OwnThreads(Mutex<Vec<(Arc<OwnThread>, JoinHandle<()>)>>);

impl OwnThreads {
    /// A thread for a process that is about to be made.
    pub(super) fn start(&self, workers: Arc<Workers>) -> std::io::Result<Home> {
        // Under the lock: the thread ends only after it is known here.
        let mut threads = self.0.lock();
        let (own, thread) = OwnThread::start(workers)?;
        threads.push((own.clone(), thread));
        Ok(Home::Thread(own))
    }

    /// The thread is about to end.
    fn forget(&self, thread: &OwnThread) {
        let ended = {
            let mut threads = self.0.lock();
            let at = threads.iter().position(|(own, _)| std::ptr::eq(&**own, thread));
            at.map(|at| threads.swap_remove(at))
        };
        // Not under the lock: its process may go with it.
        drop(ended);
    }

    /// Ends them after their current turns. One that is in a handler is not waited for: it may be blocked.
    pub(super) fn close(&self) {
        let threads = std::mem::take(&mut *self.0.lock());
        for (own, _) in &threads {
            own.close();
        }
        for (own, thread) in threads {
            if own.board.turn().is_none() && thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }

    /// Finds what `f` finds on one of their boards.
    pub(super) fn find<T>(&self, f: impl FnMut(&Board) -> Option<T>) -> Option<T> {
        self.0.lock().iter().map(|(own, _)| &own.board).find_map(f)
    }
}
