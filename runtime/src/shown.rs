//! What a state says of itself, by its `Debug` if it has one. For what `#[handlers]` writes, and nobody else.
//!
//! `shown.show()` of a `shown: &Shown`, with both traits in scope, finds [`ByDebug`] first, if it is there for the type of the state;
//! else it takes one more reference and finds [`ByNothing`].

use std::fmt::{self, Write};

use crate::config::LONGEST_STATE;

/// A state to be shown.
#[derive(Debug)]
pub struct Shown<'a, T: ?Sized>(pub &'a T);

/// A state that has a `Debug`.
pub trait ByDebug {
    /// What that says.
    fn show(&self) -> Option<String>;
}

/// A state that may have none.
pub trait ByNothing {
    /// Nothing.
    fn show(&self) -> Option<String>;
}

impl<T: fmt::Debug + ?Sized> ByDebug for Shown<'_, T> {
    fn show(&self) -> Option<String> {
        let mut text = Beginning(String::new());
        // An error says that there is enough of it, or that it cannot be shown to its end.
        let _ = write!(text, "{:?}", self.0);
        Some(text.0)
    }
}

impl<T: ?Sized> ByNothing for &Shown<'_, T> {
    fn show(&self) -> Option<String> {
        None
    }
}

/// As much of a text as is shown, and a little more: the rest is not made.
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = (LONGEST_STATE + 1).saturating_sub(self.0.len());
        self.0.push_str(&text[..text.ceil_char_boundary(room)]);
        if self.0.len() > LONGEST_STATE { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    #[test]
    fn what_has_a_debug_is_shown_by_it_and_all_else_is_not() {
        let (debug, silent) = (&Shown(&Some(1)), &Shown(&Silent));
        assert_eq!((debug.show().as_deref(), silent.show()), (Some("Some(1)"), None));
    }

    #[test]
    fn of_a_large_state_no_more_is_made_than_is_shown() {
        let large = vec!['ä'; 1_000_000];
        let shown = Shown(&large).show().expect("it has a `Debug`");
        assert!((LONGEST_STATE + 1..LONGEST_STATE + 9).contains(&shown.len()), "{}", shown.len());
    }
}
