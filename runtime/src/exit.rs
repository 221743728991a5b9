//! Why a process ended, and what that means for the processes around it.

use std::any::Any;
use std::fmt;
use std::mem::Discriminant;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::LONGEST_REASON;
use crate::process::ReceiveError;

/// Why a process ended.
///
/// A reason is data for whoever links to, monitors or supervises the process. Cloning is cheap.
///
/// On the way to another node, [`Error`](Self::Error) and [`Value`](Self::Value) become
/// [`Remote`](Self::Remote): their type may be unknown there, their text is kept.
#[derive(Clone)]
#[non_exhaustive]
pub enum ExitReason {
    /// The process finished its work.
    Normal,
    /// It was asked to stop, by its supervisor as a rule.
    Shutdown,
    /// It was asked to stop, with an explanation.
    ShutdownWith(Arc<str>),
    /// The untrappable request to end. A process that receives it ends with [`Killed`](Self::Killed).
    Kill,
    /// It was ended by [`Kill`](Self::Kill).
    Killed,
    /// There is, or was, no such process.
    NoProc,
    /// The connection to its node was lost.
    NoConnection,
    /// It waited too long for something.
    Timeout,
    /// It had allocated more than its `max_memory` at the end of a handler, or where it awaited something.
    MemoryLimit {
        /// How many bytes it may have.
        limit: u64,
        /// How many it had.
        used: u64,
    },
    /// Its code panicked.
    Panic(Arc<PanicReport>),
    /// Its code returned an error.
    Error(Arc<dyn std::error::Error + Send + Sync>),
    /// A value of the program's own.
    Value(Arc<dyn Reason>),
    /// An error or a value that came from another node.
    Remote {
        /// The name of its type there.
        type_name: Arc<str>,
        /// Its text.
        text: Arc<str>,
    },
}

impl ExitReason {
    /// A reason of the program's own, compared by its `PartialEq`.
    ///
    /// # Examples
    /// ```
    /// use biotope::ExitReason;
    ///
    /// assert_eq!(ExitReason::value("full"), ExitReason::value("full"));
    /// assert_ne!(ExitReason::value("full"), ExitReason::value(7));
    /// ```
    pub fn value<T: fmt::Debug + PartialEq + Send + Sync + 'static>(value: T) -> Self {
        Self::Value(Arc::new(Chosen(value)))
    }

    /// An error as a reason.
    pub fn error(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Error(Arc::new(error))
    }

    /// Whether this is anything but `Normal`, `Shutdown` and `ShutdownWith`: a crash, to be reported.
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown | Self::ShutdownWith(_))
    }

    /// Its text in one line, and no more than 4,096 bytes of it: what has more lines, as an assertion that failed, has blanks
    /// between.
    ///
    /// # Examples
    /// ```
    /// use biotope::ExitReason;
    ///
    /// let reason = ExitReason::ShutdownWith("left: 1\n right: 2".into());
    /// assert_eq!(reason.in_one_line(), "shutdown: left: 1 right: 2");
    /// ```
    pub fn in_one_line(&self) -> String {
        let mut text = self.to_string();
        if text.len() > LONGEST_REASON {
            text.truncate(text.floor_char_boundary(LONGEST_REASON));
            text.push('…');
        }
        if text.contains(char::is_control) { text.split_whitespace().collect::<Vec<_>>().join(" ") } else { text }
    }

    /// What it has in common with others that are told of together.
    pub(crate) fn kind(&self) -> ReasonKind {
        match self {
            Self::Panic(report) => ReasonKind::Panic(report.clone()),
            Self::Value(value) => ReasonKind::Value(value.type_name()),
            Self::Remote { type_name, .. } => ReasonKind::Remote(type_name.clone()),
            other => ReasonKind::Word(std::mem::discriminant(other)),
        }
    }

    /// The value that was given to [`value`](Self::value), if it has type `T`.
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        match self {
            Self::Value(value) => value.as_any().downcast_ref(),
            _ => None,
        }
    }
}

impl ExitReason {
    /// The exit code of a program whose `main` ends with it: 0 for `Normal`, the one that a [`Coded`] error says, 1
    /// otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Error(error) => error.downcast_ref().map_or(1, |coded: &Coded| coded.code),
            _ => 1,
        }
    }
}

/// An error that says with which code a program exits that ends with it.
///
/// # Examples
/// ```
/// use biotope::{Coded, Error};
///
/// let error = Error::from(Coded::new(66, std::io::Error::other("no input")));
/// assert_eq!(error.reason().exit_code(), 66);
/// assert_eq!(error.to_string(), "no input");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Coded {
    code: u8,
    #[source]
    error: Box<dyn std::error::Error + Send + Sync>,
}

impl Coded {
    /// `error`, with an exit code.
    pub fn new(code: u8, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { code, error: error.into() }
    }

    /// The error itself.
    pub fn error(&self) -> &(dyn std::error::Error + Send + Sync) {
        &*self.error
    }
}

/// A kind of reasons. It keeps nothing of the user's.
#[derive(Clone, Debug)]
pub(crate) enum ReasonKind {
    /// Panics in one place.
    Panic(Arc<PanicReport>),
    /// Values of this type.
    Value(&'static str),
    /// What was of this type on another node.
    Remote(Arc<str>),
    /// This word, or an error.
    Word(Discriminant<ExitReason>),
}

impl PartialEq for ReasonKind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Panic(one), Self::Panic(other)) => match (&one.location, &other.location) {
                (Some(one), Some(other)) => one == other,
                _ => one.message == other.message,
            },
            (Self::Value(one), Self::Value(other)) => one == other,
            (Self::Remote(one), Self::Remote(other)) => one == other,
            (Self::Word(one), Self::Word(other)) => one == other,
            _ => false,
        }
    }
}

/// A reason in one word. Most ends are normal; those cost no memory.
#[derive(Default)]
pub(crate) struct Ending(Option<Box<ExitReason>>);

impl Ending {
    /// Whether it holds nothing.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.0.is_none()
    }
}

impl From<ExitReason> for Ending {
    #[inline]
    fn from(reason: ExitReason) -> Self {
        match reason {
            ExitReason::Normal => Self(None),
            reason => Self(Some(Box::new(reason))),
        }
    }
}

impl Deref for Ending {
    type Target = ExitReason;

    #[inline]
    fn deref(&self) -> &ExitReason {
        const NORMAL: &ExitReason = &ExitReason::Normal;
        self.0.as_deref().unwrap_or(NORMAL)
    }
}

impl PartialEq for ExitReason {
    fn eq(&self, other: &Self) -> bool {
        use ExitReason as R;
        match (self, other) {
            (R::Normal, R::Normal)
            | (R::Shutdown, R::Shutdown)
            | (R::Kill, R::Kill)
            | (R::Killed, R::Killed)
            | (R::NoProc, R::NoProc)
            | (R::NoConnection, R::NoConnection)
            | (R::Timeout, R::Timeout) => true,
            (R::MemoryLimit { limit: a, used: x }, R::MemoryLimit { limit: b, used: y }) => a == b && x == y,
            (R::ShutdownWith(a), R::ShutdownWith(b)) => a == b,
            (R::Panic(a), R::Panic(b)) => a.message == b.message,
            (R::Error(a), R::Error(b)) => Arc::ptr_eq(a, b) || a.to_string() == b.to_string(),
            (R::Value(a), R::Value(b)) => a.equals(&**b),
            (R::Remote { type_name: a, text: x }, R::Remote { type_name: b, text: y }) => a == b && x == y,
            _ => false,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::ShutdownWith(why) => write!(f, "shutdown: {why}"),
            Self::Kill => f.write_str("kill"),
            Self::Killed => f.write_str("killed"),
            Self::NoProc => f.write_str("noproc"),
            Self::NoConnection => f.write_str("noconnection"),
            Self::Timeout => f.write_str("timeout"),
            Self::MemoryLimit { limit, used } => {
                write!(f, "memory limit: it has allocated {used} bytes, and may have {limit}")
            }
            Self::Panic(report) => write!(f, "{report}"),
            Self::Error(error) => f.write_str(&shown(|| error.to_string())),
            Self::Value(value) => f.write_str(&shown(|| format!("{value:?}"))),
            Self::Remote { text, .. } => f.write_str(text),
        }
    }
}

/// What a reason of the user's says of itself. It is asked for where nothing of the user's may panic: at the end of a process, and
/// by its supervisor.
fn shown(show: impl FnOnce() -> String) -> String {
    catch_unwind(AssertUnwindSafe(show)).unwrap_or_else(|_| "a reason that panics when it is shown".into())
}

impl fmt::Debug for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value that a program chose as an exit reason; made by [`ExitReason::value`].
pub trait Reason: fmt::Debug + Send + Sync + 'static {
    /// The value itself.
    fn as_any(&self) -> &dyn Any;
    /// Whether `other` has the same type and is equal.
    fn equals(&self, other: &dyn Reason) -> bool;
    /// The name of the value's type.
    fn type_name(&self) -> &'static str;
}

struct Chosen<T>(T);

impl<T: fmt::Debug> fmt::Debug for Chosen<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Debug + PartialEq + Send + Sync + 'static> Reason for Chosen<T> {
    fn as_any(&self) -> &dyn Any {
        &self.0
    }

    fn equals(&self, other: &dyn Reason) -> bool {
        other.as_any().downcast_ref() == Some(&self.0)
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

/// What is known of a panic.
#[derive(Clone, Debug)]
pub struct PanicReport {
    /// What the panic said.
    pub message: String,
    /// File, line and column.
    pub location: Option<String>,
    /// The stack, if `RUST_BACKTRACE` asks for it.
    pub backtrace: Option<String>,
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)?;
        match &self.location {
            Some(location) => write!(f, " (at {location})"),
            None => Ok(()),
        }
    }
}

/// What the body of a process, a test or `main` fails with: an exit reason, made by `?` from any error.
///
/// It is not itself a `std::error::Error`; that is what lets every error become one.
pub struct Error(ExitReason);

/// The result of a process's body, of `main` and of tests.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The reason that the process ends with.
    pub fn reason(&self) -> &ExitReason {
        &self.0
    }

    /// The reason that the process ends with.
    pub fn into_reason(self) -> ExitReason {
        self.0
    }
}

impl From<ExitReason> for Error {
    fn from(reason: ExitReason) -> Self {
        Self(reason)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        // An error of ours that carries an exit reason passes that reason on, unwrapped.
        let any: &dyn Any = &error;
        if let Some(Exited(reason)) = any.downcast_ref() {
            return Self(reason.clone());
        }
        if let Some(ReceiveError::Stopped(reason)) = any.downcast_ref() {
            return Self(reason.clone());
        }
        Self(ExitReason::error(error))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An exit reason where an error is asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Exited(pub ExitReason);

impl Serialize for ExitReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.to_wire().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExitReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Wire::deserialize(deserializer).map(Self::from_wire)
    }
}

/// A reason as it travels. The order of the variants is the format: new ones go last.
#[derive(Serialize, Deserialize)]
enum Wire {
    Normal,
    Shutdown,
    ShutdownWith(String),
    Kill,
    Killed,
    NoProc,
    NoConnection,
    Timeout,
    Panic { message: String, location: Option<String>, backtrace: Option<String> },
    Other { type_name: String, text: String },
    MemoryLimit { limit: u64, used: u64 },
}

impl ExitReason {
    fn to_wire(&self) -> Wire {
        match self {
            Self::Normal => Wire::Normal,
            Self::Shutdown => Wire::Shutdown,
            Self::ShutdownWith(why) => Wire::ShutdownWith(why.to_string()),
            Self::Kill => Wire::Kill,
            Self::Killed => Wire::Killed,
            Self::NoProc => Wire::NoProc,
            Self::NoConnection => Wire::NoConnection,
            Self::Timeout => Wire::Timeout,
            Self::MemoryLimit { limit, used } => Wire::MemoryLimit { limit: *limit, used: *used },
            Self::Panic(report) => {
                let PanicReport { message, location, backtrace } = (**report).clone();
                Wire::Panic { message, location, backtrace }
            }
            Self::Error(error) => Wire::Other { type_name: "error".into(), text: error.to_string() },
            Self::Value(value) => Wire::Other { type_name: value.type_name().into(), text: format!("{value:?}") },
            Self::Remote { type_name, text } => {
                Wire::Other { type_name: type_name.to_string(), text: text.to_string() }
            }
        }
    }

    fn from_wire(wire: Wire) -> Self {
        match wire {
            Wire::Normal => Self::Normal,
            Wire::Shutdown => Self::Shutdown,
            Wire::ShutdownWith(why) => Self::ShutdownWith(why.into()),
            Wire::Kill => Self::Kill,
            Wire::Killed => Self::Killed,
            Wire::NoProc => Self::NoProc,
            Wire::NoConnection => Self::NoConnection,
            Wire::Timeout => Self::Timeout,
            Wire::MemoryLimit { limit, used } => Self::MemoryLimit { limit, used },
            Wire::Panic { message, location, backtrace } => {
                Self::Panic(Arc::new(PanicReport { message, location, backtrace }))
            }
            Wire::Other { type_name, text } => Self::Remote { type_name: type_name.into(), text: text.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_travels_as_its_type_and_text() {
        let bytes = rmp_serde::to_vec(&ExitReason::value(vec![1_u8, 2])).unwrap();
        let back: ExitReason = rmp_serde::from_slice(&bytes).unwrap();
        let ExitReason::Remote { type_name, text } = back else { panic!("{back}") };
        assert_eq!((&*type_name, &*text), ("alloc::vec::Vec<u8>", "[1, 2]"));
    }

    #[test]
    fn known_reasons_travel_unchanged() {
        use ExitReason as R;
        let all = [
            R::Normal,
            R::Shutdown,
            R::ShutdownWith("why".into()),
            R::Kill,
            R::Killed,
            R::NoProc,
            R::NoConnection,
            R::Timeout,
            R::MemoryLimit { limit: 1, used: 2 },
        ];
        for reason in all {
            let bytes = rmp_serde::to_vec(&reason).unwrap();
            assert_eq!(rmp_serde::from_slice::<ExitReason>(&bytes).unwrap(), reason);
        }
    }

    #[test]
    fn an_exit_reason_inside_an_error_is_unwrapped() {
        let error = Error::from(Exited(ExitReason::Killed));
        assert_eq!(error.reason(), &ExitReason::Killed);
    }
}
