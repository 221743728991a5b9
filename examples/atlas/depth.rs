//! How deep a parser of Rust may recurse on a file, told before it starts.
//!
//! A syntax tree is parsed, visited and dropped by functions that call each other, and a stack that overflows
//! takes the whole OS process with it. The file's length bounds the depth, but far too coarsely: in a debug build
//! one `&` of the type `&&&&…u8` takes 35 KiB of stack, so a table of a megabyte would be given 35 GiB for the
//! three levels of brackets it really has.
//!
//! # The bound
//! Whatever is being parsed at some token began at an earlier token and is not finished. So the depth is at most
//! the number of tokens that may still be *open*: for each bracket around the place, those in front of it, back
//! to the last separator on the same level.
//!
//! ```text
//!   fn f ( ) { g ( ) ; h ( 1 , [ & & x
//!   ^^^^^^^^^^         ^^^     ^^^^^^^   may be open at x
//!              ^^^^^^^     ^^^           closed by ; and ,
//! ```
//!
//! - A `;` closes everything on its level: no construct goes on behind it except those around the bracket.
//! - A `,` closes everything on its level but two: generics (`&A<B, &A<B, …`) and the parameters of closures
//!   (`!|a, b| !|a, b| …`). So a `<` or `|`, with what is open in front of it, stays open until the next `;`.
//! - A bracket counts as [`BRACKET`] tokens, for its owner may have begun before a separator: all that is left
//!   open of `fn f() where A: B, {` is the `{`.
//! - A `}` closes nothing: `if a {} else if b {} else …` is one nest.
//!
//! The bound is generous (the items of a module stay open until one ends in `;`), which costs nothing, because
//! pages of a stack that are not touched are not there. It covers chains too (`1 + 1 + …`, `a.b.c…`), which are
//! parsed in a loop and dropped by recursion.

use proc_macro2::{TokenStream, TokenTree, token_stream};

/// What an open bracket counts for. The dearest owner, a function in a trait, takes about as much stack as two
/// of the dearest tokens.
const BRACKET: usize = 2;

/// Counts the tokens that may be open at once while `tokens` are parsed, in the worst place.
///
/// Not recursive itself.
pub(crate) fn depth(tokens: TokenStream) -> usize {
    let mut levels = vec![Level::new(tokens)];
    // The open tokens in front of the brackets around this place.
    let mut outside = 0;
    let mut deepest = 0;
    while let Some(level) = levels.last_mut() {
        let Some(token) = level.tokens.next() else {
            levels.pop();
            outside -= levels.last().map_or(0, Level::open);
            continue;
        };
        level.pass(&token);
        let here = outside + level.open();
        deepest = deepest.max(here);
        if let TokenTree::Group(group) = token {
            outside = here;
            levels.push(Level::new(group.stream()));
        }
    }
    deepest
}

/// What is between one pair of brackets, or between the ends of the file.
struct Level {
    tokens: token_stream::IntoIter,
    since_separator: usize,
    /// What no `,` closes.
    lasting: usize,
}

impl Level {
    fn new(tokens: TokenStream) -> Self {
        Self { tokens: tokens.into_iter(), since_separator: 0, lasting: 0 }
    }

    fn pass(&mut self, token: &TokenTree) {
        match token {
            TokenTree::Group(_) => self.since_separator += BRACKET,
            TokenTree::Ident(_) | TokenTree::Literal(_) => self.since_separator += 1,
            TokenTree::Punct(punct) => match punct.as_char() {
                ';' => (self.since_separator, self.lasting) = (0, 0),
                ',' => self.since_separator = 0,
                '<' | '|' => {
                    self.lasting += self.since_separator + 1;
                    self.since_separator = 0;
                }
                _ => self.since_separator += 1,
            },
        }
    }

    fn open(&self) -> usize {
        self.since_separator + self.lasting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_chains_and_prefixes_are_open() {
        assert_eq!(of("((((x))))"), 4 * BRACKET + 1);
        assert_eq!(of("& & & x"), 4);
        assert_eq!(of("a . b . c . d"), 7);
        assert_eq!(of("if a { } else if b { } else { }"), 6 + 3 * BRACKET);
        assert_eq!(of("fn f() { g(); h(1, [& & x]) }"), 3 + 4 * BRACKET + 3);
    }

    #[test]
    fn separators_close_what_is_in_front_of_them() {
        assert_eq!(of("a b c ; d"), 3);
        assert_eq!(of("[1, 2, 3, 4, 5, 6, 7, 8]"), BRACKET + 1);
        assert_eq!(of("{ a b c } ; { a b }"), BRACKET + 3);
        assert_eq!(of("f(a b c, { a b })"), 1 + 2 * BRACKET + 2);
    }

    #[test]
    fn generics_and_closures_stay_open_behind_a_comma() {
        assert_eq!(of("A<B, A<B, A<B, C"), 7);
        assert_eq!(of("& & A<B, & & A<B, C"), 9);
        assert_eq!(of("|a, b| |a, b| |a, b| c"), 10);
        assert_eq!(of("A<B, A<B, C>> ; d"), 7);
        assert_eq!(of("break |a, b| x, y"), 5);
    }

    #[test]
    fn a_level_that_ends_is_no_longer_open() {
        assert_eq!(of("((x)) y z w v u t"), BRACKET + 6);
        assert_eq!(of("a { b { c } , d } e"), 2 + 2 * BRACKET + 1);
    }

    fn of(text: &str) -> usize {
        depth(text.parse().unwrap())
    }
}
