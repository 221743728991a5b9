//! Keeps a seeded run to itself: whatever else would make two runs of one seed differ is answered from the seed, or noted
//! with the line that asked for it.
//!
//! In test binaries on Linux the functions below stand in for those of the C library. Outside a seeded run, and on all
//! other threads, they pass the call on. In it:
//!
//! ```text
//!   clock_gettime     virtual time: `Instant` and `SystemTime` are those of the run; whoever looks a million times at one
//!                     instant is noted, and the clock creeps on so that he goes on
//!   getrandom         drawn from the seed: so the order of a `HashMap` is
//!   pthread_create    refused, and noted: `std::thread::spawn` and whatever has threads
//!   socket, socketpair
//!                     refused, and noted
//!   clock_nanosleep   does not wait, and is noted: `std::thread::sleep`
//! ```
//!
//! What is noted fails the test. Elsewhere, and for what is not among these, there is the net below: some seeds are run
//! twice, and the first event that differs is told.
//!
//! # Not here
//! Files, the environment, atomics in statics that outlive a run, and addresses as numbers. Under a sanitizer
//! (`--cfg biotope_sanitized`) nothing stands in: it has functions of its own in these places.

#[cfg(not(all(target_os = "linux", not(biotope_sanitized))))]
pub(crate) use open::shut;
#[cfg(all(target_os = "linux", not(biotope_sanitized)))]
pub(crate) use stand_ins::shut;

/// Nothing stands in.
#[cfg(not(all(target_os = "linux", not(biotope_sanitized))))]
mod open {
    use biotope_runtime::Runtime;

    pub(crate) struct Outside;

    pub(crate) fn shut(_: u64) -> Outside {
        Outside
    }

    impl Outside {
        pub(crate) fn follow(&self, _: &Runtime) {}

        pub(crate) fn open(self) -> Vec<String> {
            Vec::new()
        }
    }
}

#[cfg(all(target_os = "linux", not(biotope_sanitized)))]
mod stand_ins {
    #![expect(unsafe_code, reason = "these are functions of the C library")]

    use std::backtrace::Backtrace;
    use std::cell::{Cell, OnceCell, RefCell};
    use std::ffi::{CStr, c_int, c_long, c_uint, c_void};
    use std::mem::transmute_copy;
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, Ordering};
    use std::time::{Duration, Instant};

    use biotope_runtime::Runtime;

    use crate::random::Random;

    thread_local! {
        // Without a destructor, so that it can be asked at any time of a thread's life.
        static RUN: Cell<*const Run> = const { Cell::new(ptr::null()) };
    }

    /// The run on this thread.
    struct Run {
        /// The clocks stand for the machine's until there is one.
        clock: OnceCell<Clock>,
        random: RefCell<Random>,
        noted: RefCell<Vec<String>>,
    }

    /// The clock of a run.
    struct Clock {
        runtime: Runtime,
        /// The begin of the run, by its own clock.
        begin: Instant,
        /// The same, as the C library's monotonic clock would say it.
        monotonic: Cell<Duration>,
        /// What it said last, and how often.
        said: Cell<(Duration, u32)>,
        /// By how much it goes before the run, because somebody waits for it without letting others run.
        creeps: Cell<Duration>,
    }

    /// So often the clock may be looked at in one instant of a run.
    const LOOKS: u32 = 1_000_000;

    /// Seconds since 1970: the first instant of 2026. That is when all runs take place.
    const CALENDAR: Duration = Duration::from_secs(1_767_225_600);

    /// As long as this lives, the code of this thread is kept to itself.
    pub(crate) struct Outside {
        /// From a box, which is freed with this. It stays on its thread.
        run: *mut Run,
    }

    /// Keeps what this thread does to itself from now on: it is a run of this seed. Before anything else is made, so that
    /// the first hash map draws its keys from the seed.
    pub(crate) fn shut(seed: u64) -> Outside {
        let run = Box::into_raw(Box::new(Run {
            clock: OnceCell::new(),
            random: RefCell::new(Random::new(seed)),
            noted: RefCell::default(),
        }));
        RUN.set(run);
        Outside { run }
    }

    impl Outside {
        fn run(&self) -> &Run {
            // SAFETY: it is freed with `self`.
            unsafe { &*self.run }
        }

        /// The clocks of the run are this runtime's.
        pub(crate) fn follow(&self, runtime: &Runtime) {
            let begin = runtime.now();
            let clock = Clock {
                runtime: runtime.clone(),
                begin,
                monotonic: Cell::new(now(libc::CLOCK_MONOTONIC)),
                said: Cell::default(),
                creeps: Cell::default(),
            };
            if self.run().clock.set(clock).is_err() {
                return;
            }
            // The two clocks are to say the same: by how much they do not is seen now.
            let said = Instant::now();
            let Some(Clock { monotonic, .. }) = self.run().clock.get() else { return };
            match said.checked_duration_since(begin) {
                Some(ahead) => monotonic.set(monotonic.get() - ahead),
                None => monotonic.set(monotonic.get() + (begin - said)),
            }
        }

        /// The run is over. Returns what it should not have done.
        pub(crate) fn open(self) -> Vec<String> {
            RUN.set(ptr::null());
            self.run().noted.take()
        }
    }

    impl Drop for Outside {
        fn drop(&mut self) {
            RUN.set(ptr::null());
            // SAFETY: it was made from a box, and nothing leads to it any more.
            drop(unsafe { Box::from_raw(self.run) });
        }
    }

    /// Asks the run on this thread, if there is one.
    fn in_run<R>(f: impl FnOnce(&Run) -> R) -> Option<R> {
        let run = RUN.get();
        // SAFETY: the pointer is set while an `Outside` of this thread lives, which has the run in a box.
        let run = unsafe { run.as_ref() }?;
        Some(f(run))
    }

    impl Clock {
        fn passed(&self) -> Duration {
            self.runtime.now().saturating_duration_since(self.begin) + self.creeps.get()
        }

        /// Whether somebody has looked at it so often while it stood still that he waits for it; then it creeps.
        fn is_waited_for(&self) -> bool {
            let (passed, (said, looks)) = (self.passed(), self.said.get());
            let looks = if said == passed || looks >= LOOKS { looks.saturating_add(1) } else { 0 };
            self.said.set((passed, looks));
            if looks >= LOOKS {
                self.creeps.set(self.creeps.get() + Duration::from_micros(1));
            }
            looks == LOOKS
        }
    }

    impl Run {
        /// Notes what the code has done that called, and where.
        fn note(&self, function: &str, what: &str) {
            // What noting does itself is not the run's doing.
            let run = RUN.replace(ptr::null());
            let place = user_line(&Backtrace::force_capture().to_string(), function);
            RUN.set(run);
            // Whoever is asked while it notes is not noted.
            if let Ok(mut noted) = self.noted.try_borrow_mut() {
                noted.push(format!("{what}, {place}"));
            }
        }
    }

    /// The first place in a backtrace, behind the stand-in for `function`, that is not the standard library's.
    fn user_line(backtrace: &str, function: &str) -> String {
        let mut lines = backtrace.lines().map(str::trim).skip_while(|line| line.split(": ").nth(1) != Some(function));
        let mut caller = lines.next().unwrap_or_default();
        // The stand-in's own place.
        let lines = lines.skip_while(|line| line.starts_with("at "));
        for line in lines {
            match line.strip_prefix("at ") {
                Some(place) if !is_std(place) => return format!("at {place}"),
                Some(_) => {}
                None => caller = line,
            }
        }
        format!("below {caller}")
    }

    fn is_std(place: &str) -> bool {
        place.starts_with("/rustc/") || place.contains("/library/std/") || place.contains("/library/core/")
    }

    /// The function of the C library that a stand-in stands before.
    struct Real {
        name: &'static CStr,
        found: AtomicPtr<c_void>,
    }

    impl Real {
        const fn new(name: &'static CStr) -> Self {
            Self { name, found: AtomicPtr::new(ptr::null_mut()) }
        }

        /// # Safety
        /// The function has this type.
        unsafe fn get<F: Copy>(&self) -> F {
            const { assert!(size_of::<F>() == size_of::<*mut c_void>(), "a function is as large as a pointer") };
            let mut found = self.found.load(Ordering::Relaxed);
            if found.is_null() {
                // SAFETY: the name ends with a zero.
                found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
                assert!(!found.is_null(), "the C library has all of these functions");
                self.found.store(found, Ordering::Relaxed);
            }
            // SAFETY: the caller's promise; a function pointer of the C library is as large as this.
            unsafe { transmute_copy(&found) }
        }
    }

    type ClockGettime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;
    type Getrandom = unsafe extern "C" fn(*mut c_void, usize, c_uint) -> isize;
    type PthreadCreate = unsafe extern "C" fn(
        *mut libc::pthread_t,
        *const libc::pthread_attr_t,
        extern "C" fn(*mut c_void) -> *mut c_void,
        *mut c_void,
    ) -> c_int;
    type Socket = unsafe extern "C" fn(c_int, c_int, c_int) -> c_int;
    type Socketpair = unsafe extern "C" fn(c_int, c_int, c_int, *mut c_int) -> c_int;
    type ClockNanosleep =
        unsafe extern "C" fn(libc::clockid_t, c_int, *const libc::timespec, *mut libc::timespec) -> c_int;

    /// What this clock says now, outside of runs.
    fn now(clock: libc::clockid_t) -> Duration {
        let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: there is room for what it writes.
        unsafe { clock_gettime(clock, &raw mut at) };
        Duration::new(at.tv_sec as u64, at.tv_nsec as u32)
    }

    // SAFETY, for each name below: it is the C library's, with the C library's type, and does what that promises, or fails
    // as that may.

    #[unsafe(no_mangle)]
    unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, at: *mut libc::timespec) -> c_int {
        static REAL: Real = Real::new(c"clock_gettime");
        let virtually = in_run(|run| {
            let own = run.clock.get()?;
            if own.is_waited_for() {
                run.note(
                    "clock_gettime",
                    "a seeded test waits for the clock, which stands still: use `biotope::time::sleep`",
                );
            }
            match clock {
                libc::CLOCK_MONOTONIC => Some(own.monotonic.get() + own.passed()),
                libc::CLOCK_REALTIME => Some(CALENDAR + own.passed()),
                _ => None,
            }
        });
        match virtually.flatten() {
            Some(instant) => {
                let said = libc::timespec {
                    tv_sec: instant.as_secs() as libc::time_t,
                    tv_nsec: c_long::from(instant.subsec_nanos()),
                };
                // SAFETY: the caller gives room for it.
                unsafe { at.write(said) };
                0
            }
            // SAFETY: as the caller called it.
            None => unsafe { REAL.get::<ClockGettime>()(clock, at) },
        }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
        static REAL: Real = Real::new(c"getrandom");
        let filled = in_run(|run| {
            let mut random = run.random.borrow_mut();
            for place in 0..length {
                // SAFETY: the caller gives room for so many.
                unsafe { buffer.cast::<u8>().add(place).write(random.next() as u8) };
            }
            length as isize
        });
        // SAFETY: as the caller called it.
        filled.unwrap_or_else(|| unsafe { REAL.get::<Getrandom>()(buffer, length, flags) })
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn pthread_create(
        thread: *mut libc::pthread_t,
        attributes: *const libc::pthread_attr_t,
        start: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> c_int {
        static REAL: Real = Real::new(c"pthread_create");
        let noted = in_run(|run| {
            run.note(
                "pthread_create",
                "a seeded test starts a thread, whose turns no seed decides: spawn a process, or use `blocking`",
            );
            libc::EPERM
        });
        // SAFETY: as the caller called it.
        noted.unwrap_or_else(|| unsafe { REAL.get::<PthreadCreate>()(thread, attributes, start, argument) })
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
        static REAL: Real = Real::new(c"socket");
        let noted = in_run(|run| {
            run.note("socket", "a seeded test opens a socket, whose peers no seed decides: leave `seeds` out");
            // SAFETY: it is this thread's.
            unsafe { *libc::__errno_location() = libc::EPERM };
            -1
        });
        // SAFETY: as the caller called it.
        noted.unwrap_or_else(|| unsafe { REAL.get::<Socket>()(domain, kind, protocol) })
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int {
        static REAL: Real = Real::new(c"socketpair");
        let noted = in_run(|run| {
            run.note("socketpair", "a seeded test opens sockets, whose bytes no seed orders: leave `seeds` out");
            // SAFETY: it is this thread's.
            unsafe { *libc::__errno_location() = libc::EPERM };
            -1
        });
        // SAFETY: as the caller called it.
        noted.unwrap_or_else(|| unsafe { REAL.get::<Socketpair>()(domain, kind, protocol, pair) })
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn clock_nanosleep(
        clock: libc::clockid_t,
        flags: c_int,
        time: *const libc::timespec,
        left: *mut libc::timespec,
    ) -> c_int {
        static REAL: Real = Real::new(c"clock_nanosleep");
        let noted = in_run(|run| {
            run.note(
                "clock_nanosleep",
                "a seeded test puts its thread to sleep, and all processes with it: use `biotope::time::sleep`",
            );
            0
        });
        // SAFETY: as the caller called it.
        noted.unwrap_or_else(|| unsafe { REAL.get::<ClockNanosleep>()(clock, flags, time, left) })
    }

    #[cfg(test)]
    mod tests {
        use super::user_line;

        #[test]
        fn the_users_line_is_the_first_that_is_not_the_standard_librarys() {
            let backtrace = "
   0: note
             at ./src/outside.rs:120:5
   1: clock_nanosleep
             at ./src/outside.rs:300:5
   2: std::thread::sleep
             at /rustc/abc/library/std/src/thread/mod.rs:1:1
   3: shop::tests::it_sleeps::{{closure}}
             at ./tests/shop.rs:12:9
   4: biotope_runtime::process::run
             at ./runtime/src/process/run.rs:1:1";
            assert_eq!(user_line(backtrace, "clock_nanosleep"), "at ./tests/shop.rs:12:9");
            assert_eq!(user_line("   0: socket\n   1: shop::main", "socket"), "below 1: shop::main");
        }
    }
}
