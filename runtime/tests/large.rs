//! What is large, and what is small. Large data moves by reference: from process to process, and to a socket.
//!
//! An allocator sees every allocation of this program. What is large is made before it looks.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait, and nothing else sees every allocation")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Read;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use biotope::prelude::*;
use bytes::Bytes;
use tokio::net::TcpStream;

const MIB: usize = 1_024 * 1_024;
/// What nobody needs for anything but a copy of what the tests send.
const LARGE: usize = MIB;

struct Watching;

static LARGE_ONES: AtomicUsize = AtomicUsize::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

thread_local! {
    static ON_THIS_THREAD: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

fn note(size: usize) {
    ON_THIS_THREAD.set(ON_THIS_THREAD.get() + 1);
    if size >= LARGE {
        LARGE_ONES.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every method hands its arguments on to `System` unchanged and returns what `System` returns, so what
// `System` guarantees of a `GlobalAlloc` holds here. `note` touches an atomic and a thread-local that needs neither
// making nor dropping: it neither allocates nor unwinds.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(new_size);
        // SAFETY: the caller keeps the contract of `realloc`, and `block` came from `System`.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `block` came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

/// No other test allocates as long as this lives.
fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn large_allocations() -> usize {
    LARGE_ONES.load(Ordering::Relaxed)
}

/// Runs `body` as a process on a node of its own, with two workers.
fn run(body: impl Future<Output = biotope::Result<()>> + Send + 'static) {
    let runtime = Runtime::builder().workers(2).build().expect("the machine gives two threads");
    let node = runtime.block_on(Node::builder("large").runtime(runtime.clone()).start()).expect("the node starts");
    runtime.block_on(biotope::run_on(&node, body)).expect("it ends without an error");
}

/// Passes on what it is given. The last gives it back.
#[derive(Actor)]
struct Relay {
    next: Option<ActorRef<Relay>>,
}

struct Load {
    data: Bytes,
    shared: Arc<[u8]>,
    home: ReplyTo<(Bytes, Arc<[u8]>)>,
}

#[handlers]
impl Relay {
    /// By calls, casts and async handlers, as all of them move what they carry.
    async fn send(&mut self, data: Bytes, shared: Arc<[u8]>, home: ReplyTo<(Bytes, Arc<[u8]>)>) {
        time::yield_now().await;
        self.pass(Load { data, shared, home });
    }

    #[cast]
    fn pass(&mut self, load: Load) {
        match &self.next {
            Some(next) => next.pass(load),
            None => load.home.send((load.data, load.shared)),
        }
    }
}

#[test]
fn what_is_large_goes_through_processes_without_a_copy() {
    let _alone = alone();
    let before = large_allocations();
    let data = Bytes::from(vec![7; 16 * MIB]);
    let shared: Arc<[u8]> = vec![9; 16 * MIB].into();
    let made = large_allocations();
    assert!(made > before, "what is large is seen");

    run(async move {
        let mut first = spawn(Relay { next: None });
        for _ in 0..10 {
            first = spawn(Relay { next: Some(first) });
        }
        let (to_data, to_shared) = (data.as_ptr(), shared.as_ptr().addr());
        let to_data = to_data.addr();
        let (data, shared) = first.send(data, shared).await?;
        assert_eq!((data.as_ptr().addr(), shared.as_ptr().addr()), (to_data, to_shared));

        // To many at once, in straight-line code: each has the same bytes.
        let (sender, mut at) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..10 {
            let sender = sender.clone();
            let receiver = spawn_process(async move |mut me: Process<(Bytes, Arc<[u8]>)>| {
                let (data, shared) = me.receive().await?;
                let _ = sender.send((data.as_ptr().addr(), shared.as_ptr().addr()));
                Ok(())
            });
            receiver.cast((data.clone(), Arc::clone(&shared)));
        }
        for _ in 0..10 {
            assert_eq!(at.recv().await, Some((to_data, to_shared)));
        }
        Ok(())
    });
    assert_eq!(large_allocations(), made, "somebody copied");
}

#[test]
fn an_iolist_reaches_a_socket_without_being_joined() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let address = listener.local_addr().expect("it is bound");
    let body = Bytes::from(vec![7; 16 * MIB]);
    let shared: Arc<[u8]> = vec![9; 4 * MIB].into();
    let expected = 4 + body.len() + shared.len() + 3;
    let before = large_allocations();

    // Counts what comes, and adds it up; into a buffer that is smaller than what is looked for.
    let (sender, received) = mpsc::channel();
    let reader = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("somebody connects");
        let (mut buffer, mut count, mut sum) = (vec![0; 64 * 1_024], 0_usize, 0_u64);
        loop {
            match socket.read(&mut buffer).expect("the socket is read") {
                0 => break,
                read => {
                    count += read;
                    sum += buffer[..read].iter().map(|byte| u64::from(*byte)).sum::<u64>();
                }
            }
        }
        sender.send((count, sum)).expect("the test waits");
    });
    let sum =
        7 * (16 * MIB as u64) + 9 * (4 * MIB as u64) + b"headend".iter().map(|byte| u64::from(*byte)).sum::<u64>();

    // Made by one process, written by another.
    run(async move {
        let (sender, ended) = tokio::sync::oneshot::channel();
        let writer = spawn_process(async move |mut me: Process<IoList>| {
            let mut list = me.receive().await?;
            let mut socket = TcpStream::connect(address).await?;
            list.write_to(&mut socket).await?;
            let _ = sender.send(list.len());
            Ok(())
        });
        let mut parts = IoList::from(body);
        parts.push(Bytes::from_owner(shared));
        let mut list = IoList::from("head");
        list.append(parts);
        list.push(&b"end"[..]);
        writer.cast(list);
        assert_eq!(ended.await?, 0);
        Ok(())
    });
    assert_eq!(received.recv().expect("the reader ends"), (expected, sum));
    reader.join().expect("it does not panic");
    assert_eq!(large_allocations(), before, "somebody joined the segments");
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("its second field is what is resident") * 4_096
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(biotope_malloc, ignore = "all memory is the global allocator's")]
fn what_a_million_messages_lay_in_goes_back() {
    let _alone = alone();
    let runtime = Runtime::builder().workers(2).build().expect("the machine gives two threads");
    let node = runtime.block_on(Node::builder("flooded").runtime(runtime.clone()).start()).expect("the node starts");
    let (before, (sender, full)) = (resident_bytes(), mpsc::channel());
    let (within, trim) = (node.clone(), runtime.clone());
    let body = async move {
        let idler = spawn(Idler { number: 0 });
        within.suspend(&idler);
        for _ in 0..1_000_000 {
            idler.touch();
        }
        sender.send(resident_bytes()).expect("it is read below");
        within.resume(&idler);
        // When the answer is there, all before it were handled.
        assert_eq!(idler.with_state(|idler| idler.number).await?, 1_000_001);
        trim.trim_memory();
        Ok(())
    };
    runtime.block_on(biotope::run_on(&node, body)).expect("it ends without an error");
    let full = full.recv().expect("it was sent above") - before;
    let left = resident_bytes().saturating_sub(before);
    assert!(full > 8 * MIB, "{full} bytes are seen");
    assert!(left < full / 4, "{left} of {full} bytes are left");
}

/// What a bench of idle processes has a million of.
#[derive(Actor)]
struct Idler {
    number: u64,
}

#[handlers]
impl Idler {
    #[init]
    fn begin(&mut self) {
        self.number += 1;
    }

    #[cast]
    fn touch(&mut self) {
        self.number += 1;
    }
}

/// With its slot in the table, which is a fifth of a cache line, it stays below 128.
#[test]
fn an_idle_process_with_a_word_of_state_takes_96_bytes() {
    let sizes = biotope::sizes::<Idler>();
    assert_eq!(sizes.piece, 96, "\n{sizes}");
    assert_eq!((sizes.state, sizes.handlers[0].name, sizes.handlers[0].message), (8, "touch", 0));
}

/// Has a handler of each sort.
#[derive(Actor)]
struct Gallery {
    pictures: Vec<[u64; 20]>,
}

#[handlers]
impl Gallery {
    fn count(&self) -> usize {
        self.pictures.len()
    }

    #[cast]
    fn hang(&mut self, picture: [u64; 20]) {
        self.pictures.push(picture);
    }

    #[cast]
    async fn compare(&mut self, rows: [u64; 10]) {
        time::yield_now().await;
        self.pictures.retain(|picture| picture.starts_with(&rows));
    }

    async fn paint(&mut self, picture: [u64; 20]) -> usize {
        time::yield_now().await;
        self.hang(picture);
        self.count()
    }
}

#[test]
fn sizes_are_listed_with_what_makes_them_large() {
    let listing = "\
Gallery: 416 bytes for a process, of which most is the future of compare
  header                         60
  mailbox                        20
  state                          24
  future of handle              304
  alignment                       0
  rounded up by                   8
Gallery: 88 bytes for a message, as compare needs
  count                          16
  hang                            8 and 160 in a box
  compare                        80, its future 200
  paint                          24 and 160 in a box, its future 360 in a box
";
    assert_eq!(biotope::sizes::<Gallery>().to_string(), listing);
}

/// Takes arguments that have room in a message, and such that have none.
#[derive(Actor)]
struct Scales {
    sum: u64,
}

#[handlers]
impl Scales {
    #[cast]
    fn weigh_few(&mut self, weights: [u64; 12]) {
        self.sum += weights.iter().sum::<u64>();
    }

    #[cast]
    fn weigh_many(&mut self, weights: [u64; 13]) {
        self.sum += weights.iter().sum::<u64>();
    }

    fn sum(&self) -> u64 {
        self.sum
    }
}

/// Goal: what lies in a box costs the box, and what does not costs nothing.
/// Method: casts of both sorts under a seed, so on this thread, each handled before the next is sent. The runtime has made
/// what it needs before.
#[test]
#[cfg_attr(biotope_malloc, ignore = "the blocks of mailboxes are allocations too")]
fn a_cast_costs_one_allocation_if_its_arguments_have_no_room_and_else_none() {
    biotope::test::under_seeds("a_cast_costs_one_allocation", 1, casts_in_boxes);
}

async fn casts_in_boxes() {
    assert_eq!(biotope::sizes::<Scales>().message, 104, "\n{}", biotope::sizes::<Scales>());
    let scales = spawn(Scales { sum: 0 });
    let rounds = async |cast: fn(&ActorRef<Scales>)| {
        cast(&scales);
        scales.sum().await.expect("it lives");
        let before = ON_THIS_THREAD.get();
        for _ in 0..100 {
            cast(&scales);
            scales.sum().await.expect("it lives");
        }
        ON_THIS_THREAD.get() - before
    };

    assert_eq!(rounds(|scales| scales.weigh_few([1; 12])).await, 0);
    assert_eq!(rounds(|scales| scales.weigh_many([1; 13])).await, 100);
    assert_eq!(scales.sum().await.expect("it lives"), 101 * (12 + 13));
}
