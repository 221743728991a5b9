//! The limit of open files: each connection is one.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a program has open beside its connections, and some to spare.
const OTHERS: u64 = 64;

/// The system allows fewer open files than are needed.
#[derive(Debug, PartialEq)]
pub(crate) struct TooFew {
    needed: u64,
    allowed: u64,
}

impl fmt::Display for TooFew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, allowed } = self;
        write!(f, "{needed} open files are needed, and this system allows {allowed}: ")?;
        match allowed.saturating_sub(OTHERS) {
            0 => write!(f, "an administrator can allow more (`ulimit -Hn {needed}`)"),
            fewer => write!(
                f,
                "run it with `--connections {fewer}`, or let an administrator allow more (`ulimit -Hn {needed}`)"
            ),
        }
    }
}

impl std::error::Error for TooFew {}

/// Raises the limit of this OS process until `connections` can be open, if it is lower.
///
/// # Errors
/// [`TooFew`]; the limit is what it was.
pub(crate) fn make_room_for(connections: u32) -> Result<(), TooFew> {
    let needed = u64::from(connections) + OTHERS;
    // None is no limit.
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let too_few = |allowed| TooFew { needed, allowed };
    if let Some(allowed) = maximum.filter(|maximum| *maximum < needed) {
        return Err(too_few(allowed));
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum });
    raised.map_err(|_| too_few(current.unwrap_or(needed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_raised_is_and_what_cannot_is_said() {
        make_room_for(1).expect("a program may have some files open");
        let Some(maximum) = getrlimit(Resource::Nofile).maximum.and_then(|maximum| u32::try_from(maximum).ok()) else {
            return;
        };
        make_room_for(maximum - 64).expect("the limit can be raised to the highest");
        assert_eq!(getrlimit(Resource::Nofile).current, Some(u64::from(maximum)));
        let error = make_room_for(maximum).expect_err("and no further");
        assert!(error.to_string().contains(&format!("--connections {}", maximum - 64)), "{error}");
    }
}
