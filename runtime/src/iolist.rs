//! Bytes in several pieces, which are written without being joined.

use std::collections::{VecDeque, vec_deque};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// How many segments one write gives to the operating system.
const AT_ONCE: usize = 64;

/// A list of segments that is read as if they were joined, like an iolist of Erlang.
///
/// A segment is a [`Bytes`]: static text, a part of what was received, what other processes hold too. Adding one
/// copies no byte, and neither does sending a list to another process of the node. [`write_to`](Self::write_to) gives
/// the segments to a socket as they are. As a [`Buf`] it is read from the front.
///
/// A list that is added to another becomes a part of it: the segments of the shorter move.
///
/// # Examples
///
/// ```
/// use biotope::IoList;
/// use bytes::Bytes;
///
/// # #[biotope::main]
/// # async fn main() -> biotope::Result<()> {
/// let body = Bytes::from(vec![b'x'; 5]);
/// let mut answer = IoList::from("HTTP/1.1 200 OK\r\n");
/// answer.push(format!("content-length: {}\r\n\r\n", body.len()));
/// answer.push(body.clone());
/// assert_eq!(answer.len(), 43);
/// assert!(answer.slices().any(|slice| slice.as_ptr() == body.as_ptr()));
///
/// let mut socket = Vec::new();
/// answer.write_to(&mut socket).await?;
/// assert_eq!(socket, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nxxxxx");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct IoList {
    /// None of them is empty.
    segments: VecDeque<Bytes>,
    len: usize,
}

impl IoList {
    /// Makes an empty list. Nothing is allocated.
    pub const fn new() -> Self {
        Self { segments: VecDeque::new(), len: 0 }
    }

    /// Joins lists into one, in order.
    pub fn concat(lists: impl IntoIterator<Item = Self>) -> Self {
        let mut joined = Self::new();
        lists.into_iter().for_each(|list| joined.append(list));
        joined
    }

    /// Adds a segment at the end.
    pub fn push(&mut self, segment: impl Into<Bytes>) {
        let segment = segment.into();
        if !segment.is_empty() {
            self.len += segment.len();
            self.segments.push_back(segment);
        }
    }

    /// Adds a segment in front, as a header to what is there.
    pub fn push_front(&mut self, segment: impl Into<Bytes>) {
        let segment = segment.into();
        if !segment.is_empty() {
            self.len += segment.len();
            self.segments.push_front(segment);
        }
    }

    /// Adds a list at the end.
    pub fn append(&mut self, mut other: Self) {
        self.len += other.len;
        if self.segments.len() >= other.segments.len() {
            self.segments.append(&mut other.segments);
            return;
        }
        while let Some(segment) = self.segments.pop_back() {
            other.segments.push_front(segment);
        }
        self.segments = other.segments;
    }

    /// How many bytes there are in all segments.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The segments in order. None is empty.
    pub fn slices(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator {
        self.segments.iter().map(|segment| &**segment)
    }

    /// Writes all of it to `out`, many segments with one call of the operating system if `out` can do that, as a TCP
    /// stream can. The segments are not joined, unless `out` itself copies what it is given.
    ///
    /// What is written leaves the list. It does not flush `out`.
    ///
    /// # Errors
    /// Those of `out`; [`WriteZero`](io::ErrorKind::WriteZero) if it takes nothing more. What was not written is still
    /// in the list.
    ///
    /// # Cancel safety
    /// A future that is dropped leaves in the list what was not written. To go on, call it again.
    pub async fn write_to<W>(&mut self, out: &mut W) -> io::Result<()>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        while !self.is_empty() {
            let written = poll_fn(|cx| self.poll_write(Pin::new(out), cx)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Writes some of it.
    fn poll_write<W>(&mut self, out: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        W: AsyncWrite + ?Sized,
    {
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        let filled = self.chunks_vectored(&mut slices);
        let written = ready!(out.poll_write_vectored(cx, &slices[..filled]))?;
        self.advance(written);
        Poll::Ready(Ok(written))
    }
}

impl Buf for IoList {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.segments.front().map_or(&[], |segment| segment)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.len().min(self.segments.len());
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            *slice = IoSlice::new(segment);
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len, "nobody advances past the end of a list: {count} of {}", self.len);
        self.len -= count;
        while let Some(front) = self.segments.front_mut()
            && count > 0
        {
            if front.len() > count {
                return front.advance(count);
            }
            count -= front.len();
            self.segments.pop_front();
        }
    }

    /// Copies nothing if all of it is in the first segment.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        assert!(count <= self.len, "nobody reads past the end of a list: {count} of {}", self.len);
        if let Some(front) = self.segments.front_mut()
            && front.len() > count
        {
            self.len -= count;
            return front.split_to(count);
        }
        if let Some(front) = self.segments.pop_front_if(|front| front.len() == count) {
            self.len -= count;
            return front;
        }
        let mut joined = Vec::with_capacity(count);
        while joined.len() < count {
            let chunk = self.chunk();
            let take = chunk.len().min(count - joined.len());
            joined.extend_from_slice(&chunk[..take]);
            self.advance(take);
        }
        joined.into()
    }
}

/// From one segment: `Bytes`, `Vec<u8>`, `String`, `&'static str`, `&'static [u8]` and whatever else becomes a `Bytes`.
/// An `Arc<[u8]>` becomes one by [`Bytes::from_owner`].
impl<T: Into<Bytes>> From<T> for IoList {
    fn from(segment: T) -> Self {
        let mut list = Self::new();
        list.push(segment);
        list
    }
}

impl<T: Into<Bytes>> FromIterator<T> for IoList {
    fn from_iter<I: IntoIterator<Item = T>>(segments: I) -> Self {
        let mut list = Self::new();
        list.extend(segments);
        list
    }
}

impl<T: Into<Bytes>> Extend<T> for IoList {
    fn extend<I: IntoIterator<Item = T>>(&mut self, segments: I) {
        segments.into_iter().for_each(|segment| self.push(segment));
    }
}

impl IntoIterator for IoList {
    type Item = Bytes;
    type IntoIter = vec_deque::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.segments.into_iter()
    }
}

impl fmt::Debug for IoList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoList").field("len", &self.len).field("segments", &self.segments.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    /// A list, and lists within lists.
    #[derive(Clone, Debug)]
    enum Tree {
        Segment(Vec<u8>),
        Lists(Vec<Tree>),
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let segment = proptest::collection::vec(any::<u8>(), 0..20).prop_map(Tree::Segment);
        segment.prop_recursive(5, 200, 8, |inner| proptest::collection::vec(inner, 0..8).prop_map(Tree::Lists))
    }

    impl Tree {
        fn list(&self) -> IoList {
            match self {
                Self::Segment(bytes) => bytes.clone().into(),
                Self::Lists(trees) => IoList::concat(trees.iter().map(Self::list)),
            }
        }

        fn joined(&self) -> Vec<u8> {
            match self {
                Self::Segment(bytes) => bytes.clone(),
                Self::Lists(trees) => trees.iter().flat_map(Self::joined).collect(),
            }
        }
    }

    /// Takes as many bytes at a time as it is told, over and over; at 0 it is not ready.
    struct Socket {
        sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
        taken: Vec<u8>,
        most_slices: usize,
    }

    impl Socket {
        fn new(sizes: Vec<usize>) -> Self {
            Self { sizes: sizes.into_iter().cycle(), taken: Vec::new(), most_slices: 0 }
        }
    }

    impl AsyncWrite for Socket {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let this = self.get_mut();
            let size = this.sizes.next().unwrap_or(usize::MAX);
            if size == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.most_slices = this.most_slices.max(slices.len());
            let before = this.taken.len();
            this.taken.extend(slices.iter().flat_map(|slice| slice.iter()).take(size));
            Poll::Ready(Ok(this.taken.len() - before))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Polls until it is done.
    fn finish<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
        }
    }

    proptest! {
        #[test]
        fn any_tree_of_segments_gives_the_bytes_of_joining_them(tree in trees(), reads in proptest::collection::vec(1_usize..30, 1..20)) {
            let (mut list, joined) = (tree.list(), tree.joined());
            prop_assert_eq!(list.len(), joined.len());
            prop_assert_eq!(&list.slices().collect::<Vec<_>>().concat(), &joined);
            prop_assert!(list.slices().all(|slice| !slice.is_empty()));

            // What is read takes from the front, by whatever way.
            let mut rest = &joined[..];
            for (number, size) in reads.into_iter().enumerate() {
                let size = size.min(rest.len());
                let (read, left) = rest.split_at(size);
                rest = left;
                if number.is_multiple_of(2) {
                    prop_assert_eq!(&*list.copy_to_bytes(size), read);
                } else {
                    list.advance(size);
                }
                prop_assert_eq!(list.remaining(), rest.len());
            }
            prop_assert_eq!(list.into_iter().collect::<Vec<_>>().concat(), rest);
        }

        #[test]
        fn partial_writes_of_any_size_write_all_of_it_once(
            tree in trees(),
            sizes in proptest::collection::vec(0_usize..40, 0..5),
        ) {
            let mut list = tree.list();
            let sizes = sizes.into_iter().chain([7]).collect();
            let mut socket = Socket::new(sizes);
            finish(list.write_to(&mut socket)).expect("it takes all");
            prop_assert_eq!(socket.taken, tree.joined());
            prop_assert!(list.is_empty());
        }

        #[test]
        fn a_write_that_is_given_up_leaves_what_was_not_written(
            tree in trees(),
            sizes in proptest::collection::vec(0_usize..40, 1..5),
            polls in 0_usize..5,
        ) {
            let mut list = tree.list();
            let mut socket = Socket::new([sizes, vec![0]].concat());
            {
                let mut write = pin!(list.write_to(&mut socket));
                for _ in 0..polls {
                    if write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                        break;
                    }
                }
            }
            let rest = list.slices().collect::<Vec<_>>().concat();
            prop_assert_eq!([socket.taken, rest].concat(), tree.joined());
        }
    }

    #[test]
    fn many_segments_go_with_one_write() {
        let mut list: IoList = (0..100).map(|_| "segment").collect();
        let mut socket = Socket::new(Vec::new());
        finish(list.write_to(&mut socket)).expect("it takes all");
        assert_eq!(socket.taken, "segment".repeat(100).as_bytes());
        assert_eq!(socket.most_slices, AT_ONCE);
    }

    #[test]
    fn a_socket_that_takes_nothing_more_is_an_error_and_the_rest_stays() {
        let mut list = IoList::from("more than four");
        let mut room = [0; 4];
        let error = finish(list.write_to(&mut io::Cursor::new(&mut room[..]))).expect_err("there is no room");
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
        assert_eq!((&room, list.chunk()), (b"more", &b" than four"[..]));
    }

    #[test]
    fn the_segments_of_the_shorter_list_move() {
        let mut long: IoList = ["b", "c", "d"].into_iter().collect();
        long.segments.reserve(2);
        let place = long.segments.as_slices().0.as_ptr();
        let mut list = IoList::from("a");
        list.append(long);
        list.push_front("0");
        assert_eq!(list.slices().collect::<Vec<_>>().concat(), b"0abcd");
        let holds_place = list.segments.iter().any(|segment| std::ptr::eq(segment, place));
        assert!(holds_place, "{list:?}");
    }
}
