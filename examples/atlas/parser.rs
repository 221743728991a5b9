//! Parses files without trusting them.
//!
//! ```text
//!   worker             Parser                     thread "atlas parser" (kept)
//!   examine(path) ──▶  read, check length ──text──▶ lex, bound the depth ──▶ parse, gather, drop
//!                                                     │ deeper than its stack
//!                      start another thread ◀─────────┘
//!                             └──text──▶ thread with a stack for that depth (for one file)
//! ```
//!
//! # What is promised
//! No file ends the OS process, or the thread that asks about it:
//! - The stack a file may need is known before it is parsed (see `depth`), and the thread that parses it *and drops
//!   the tree* has that much. Files that would need more than [`DEEPEST`] allows are not parsed. The limit is one
//!   of tokens, not of memory, so that debug and release builds, and large and small machines, agree on it.
//! - A panic ends the parsing thread, and only the file at hand is lost.
//!
//! # Not here
//! A file that takes too long. The limit on depth also bounds the places where the parser takes quadratic time, but
//! a caller that needs an answer in time must ask with a deadline.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use crate::depth::depth;
use crate::facts::{Facts, Outcome, Reason};

/// Longer files are not parsed: generated tables reach 1.4 MB, and a tree takes up to some seventy times its text.
const LONGEST: u64 = 4 << 20;

/// Files that may nest deeper than this are not parsed. The deepest among some 5600 files of real code comes to
/// 14 thousand (a generated file with 1270 tests in a row, none of which ends in `;`), the median file to 71.
const DEEPEST: usize = 32 << 10;

/// The kept thread has stack for this depth; one file in fifty needs more.
const SHALLOW: usize = 1 << 10;

/// Stack for what does not depend on the file.
const STACK_BASE: usize = 1 << 20;

/// Stack for each token that may be open at once. The dearest are `&` in a type (35.1 KiB in a debug build) and
/// `break` (3.7 KiB in a release build) among some 130 ways to nest; the rest is margin for other compilers. Debug
/// assertions stand for "not optimised", which Cargo.toml could undo, hence the margin on this side as well.
const STACK_PER_TOKEN: usize = if cfg!(debug_assertions) { 128 << 10 } else { 16 << 10 };

/// Parses one file after the other. Each worker has its own.
pub(crate) struct Parser {
    /// Missing before the first file and after a panic.
    kept: Option<Thread>,
    parse: Parse,
}

impl Parser {
    pub(crate) fn new() -> Self {
        Self { kept: None, parse }
    }

    /// Reads and parses the file at `path`. Blocks for as long as that takes.
    ///
    /// # Errors
    /// If no thread can be started. That says nothing about the file; trying again later can help.
    pub(crate) fn examine(&mut self, path: &Path) -> io::Result<Outcome> {
        match read(path) {
            Ok(text) => self.examine_text(text),
            Err(reason) => Ok(Outcome::Unparsed { reason }),
        }
    }

    /// Parses `text`, else as [`examine`](Self::examine).
    pub(crate) fn examine_text(&mut self, text: String) -> io::Result<Outcome> {
        let kept = match self.kept.take() {
            Some(thread) => thread,
            None => Thread::start(SHALLOW, self.parse)?,
        };
        let answer = kept.ask(text);
        // A thread that died of the last file is found out here, and not by the next file.
        self.kept = answer.is_some().then_some(kept);

        let answer = match answer {
            Some(Answer::Deeper { text, depth }) if depth <= DEEPEST => Thread::start(depth, self.parse)?.ask(text),
            answer => answer,
        };
        Ok(match answer {
            Some(Answer::Done(outcome)) => outcome,
            Some(Answer::Deeper { depth, .. }) => {
                Outcome::Unparsed { reason: Reason::TooDeep { tokens: depth as u64 } }
            }
            None => Outcome::Unparsed { reason: Reason::ParserPanicked },
        })
    }
}

/// Parses a text on a stack for the given depth.
type Parse = fn(String, usize) -> Answer;

enum Answer {
    Done(Outcome),
    /// The text comes back unparsed: it needs a stack for this depth.
    Deeper {
        text: String,
        depth: usize,
    },
}

/// A thread that parses; it ends when this is dropped.
struct Thread {
    texts: mpsc::Sender<String>,
    answers: mpsc::Receiver<Answer>,
}

impl Thread {
    fn start(stack_for: usize, parse: Parse) -> io::Result<Self> {
        let (texts, to_do) = mpsc::channel::<String>();
        let (done, answers) = mpsc::channel();
        let thread = thread::Builder::new().name("atlas parser".into());
        thread.stack_size(STACK_BASE + stack_for * STACK_PER_TOKEN).spawn(move || {
            for text in to_do {
                if done.send(parse(text, stack_for)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { texts, answers })
    }

    /// Answers `None` if the thread panicked over `text`.
    fn ask(&self, text: String) -> Option<Answer> {
        self.texts.send(text).ok()?;
        self.answers.recv().ok()
    }
}

fn parse(text: String, stack_for: usize) -> Answer {
    let outcome = match lex(&text) {
        Ok(tokens) => {
            let depth = depth(tokens.clone());
            if depth > stack_for {
                // The tokens go before the text does: they hold no stack, but memory.
                drop(tokens);
                forget_lines();
                return Answer::Deeper { text, depth };
            }
            syn::parse2(tokens).map(|file| Facts::gather(&file, &text))
        }
        Err(error) => Err(error.into()),
    };
    let outcome = match outcome {
        Ok(facts) => Outcome::Parsed(facts),
        Err(error) => {
            let line = u32::try_from(error.span().start().line).unwrap_or(u32::MAX);
            Outcome::Unparsed { reason: Reason::Syntax { line, message: error.to_string() } }
        }
    };
    forget_lines();
    Answer::Done(outcome)
}

/// Tells the tokens apart. A first line like `#!/usr/bin/env run-cargo-script` is none of the program's.
fn lex(text: &str) -> Result<proc_macro2::TokenStream, proc_macro2::LexError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let shebang = text.strip_prefix("#!").is_some_and(|rest| !rest.trim_start().starts_with('['));
    // The line's end stays, so that the lines below keep their numbers.
    let text = if shebang { text.find('\n').map_or("", |end| &text[end..]) } else { text };
    text.parse()
}

/// Frees what proc-macro2 remembers of the text, for line numbers, until the thread ends. No span is used after.
fn forget_lines() {
    proc_macro2::extra::invalidate_current_thread_spans();
}

fn read(path: &Path) -> Result<String, Reason> {
    let unreadable = |error: io::Error| Reason::Unreadable { error: error.kind().to_string() };
    let file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    if bytes > LONGEST {
        return Err(Reason::TooLong { bytes });
    }
    let mut text = Vec::new();
    // The file may be growing, and some special files have no length.
    file.take(LONGEST).read_to_end(&mut text).map_err(unreadable)?;
    String::from_utf8(text).map_err(|_| Reason::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: no way to nest ends this OS process, and each is parsed where the limit allows it.
    /// Method: far deeper than any thread's usual stack would bear. An overflow aborts the test run.
    #[test]
    fn nests_and_chains_of_every_kind_are_parsed() {
        let mut parser = Parser::new();
        for (open, inner, close) in EXPRESSIONS {
            let nest = format!("fn f() {{ let _ = {}{inner}{}; }}", open.repeat(1000), close.repeat(1000));
            assert!(is_parsed(parser.examine_text(nest)), "{open}…{close}");
        }
        for (open, inner, close) in TYPES {
            let nest = format!("type T = {}{inner}{};", open.repeat(1000), close.repeat(1000));
            assert!(is_parsed(parser.examine_text(nest)), "{open}…{close}");
        }
        for (open, inner, close) in ITEMS {
            let nest = format!("{}{inner}{}", open.repeat(1000), close.repeat(1000));
            assert!(is_parsed(parser.examine_text(nest)), "{open}…{close}");
        }
    }

    #[test]
    fn a_file_beyond_the_limit_is_named_and_not_parsed() {
        let mut parser = Parser::new();
        for (open, close) in [("(", ")"), ("!", ""), ("a.", "")] {
            let nest = format!("fn f() {{ {}x{} }}", open.repeat(DEEPEST), close.repeat(DEEPEST));
            let outcome = parser.examine_text(nest).unwrap();
            assert!(matches!(outcome, Outcome::Unparsed { reason: Reason::TooDeep { tokens } } if tokens > 32_768));
        }
        assert!(is_parsed(parser.examine_text("fn f() {}".into())));
    }

    #[test]
    fn a_long_file_that_is_flat_needs_no_deep_stack() {
        let table = format!("static TABLE: &[(u32, &str)] = &[{}];", "(0x1f600, \"😀\"),\n".repeat(20_000));
        let Answer::Done(Outcome::Parsed(facts)) = on_small_stack(table) else { panic!("not parsed at once") };
        assert_eq!((facts.lines, facts.items.len()), (20_001, 1));
    }

    #[test]
    fn a_panic_of_the_parser_costs_one_file() {
        fn panics_over_x(text: String, stack_for: usize) -> Answer {
            if text == "x" { panic!("the test wants it") } else { parse(text, stack_for) }
        }
        let mut parser = Parser { kept: None, parse: panics_over_x };

        assert!(is_parsed(parser.examine_text("fn f() {}".into())));
        assert_eq!(parser.examine_text("x".into()).unwrap(), Outcome::Unparsed { reason: Reason::ParserPanicked });
        assert!(is_parsed(parser.examine_text("fn f() {}".into())));
    }

    #[test]
    fn what_is_not_rust_has_a_line_and_a_reason() {
        let mut parser = Parser::new();
        for (text, expected) in [("fn f() {}\nfn g( {}\n", 2), ("\n\nstruct struct;", 3), ("}", 1)] {
            let outcome = parser.examine_text(text.into()).unwrap();
            let Outcome::Unparsed { reason: Reason::Syntax { line, .. } } = outcome else { panic!("{outcome:?}") };
            assert_eq!(line, expected, "{text:?}");
        }
    }

    #[test]
    fn lines_count_from_one_in_every_file() {
        let mut parser = Parser::new();
        for (text, expected) in [
            ("pub fn f() {}", 1),
            ("\npub fn f() {}", 2),
            ("\u{feff}pub fn f() {}", 1),
            ("#!/usr/bin/env run\npub fn f() {}", 2),
            ("#![allow(unused)]\n\npub fn f() {}", 3),
        ] {
            let outcome = parser.examine_text(text.into()).unwrap();
            let Outcome::Parsed(facts) = outcome else { panic!("{text:?}: {outcome:?}") };
            assert_eq!(facts.definitions[0].line, expected, "{text:?}");
        }
    }

    #[test]
    fn files_that_cannot_be_text_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let examine = |name: &str, bytes: Option<&[u8]>| {
            let path = dir.path().join(name);
            if let Some(bytes) = bytes {
                std::fs::write(&path, bytes).unwrap();
            }
            match Parser::new().examine(&path).unwrap() {
                Outcome::Unparsed { reason } => reason.word(),
                Outcome::Parsed(_) => "parsed",
            }
        };
        assert_eq!(examine("fine.rs", Some(b"fn f() {}")), "parsed");
        assert_eq!(examine("empty.rs", Some(b"")), "parsed");
        assert_eq!(examine("latin1.rs", Some(b"// caf\xe9")), "not-utf8");
        assert_eq!(examine("gone.rs", None), "unreadable");
        assert_eq!(examine(".", None), "unreadable");
        assert_eq!(examine("long.rs", Some(&b"\n".repeat(LONGEST as usize + 1))), "too-long");
        assert_eq!(examine("just.rs", Some(&b"\n".repeat(LONGEST as usize))), "parsed");
    }

    fn is_parsed(outcome: io::Result<Outcome>) -> bool {
        matches!(outcome.unwrap(), Outcome::Parsed(_))
    }

    fn on_small_stack(text: String) -> Answer {
        Thread::start(16, parse).unwrap().ask(text).expect("no panic")
    }

    const EXPRESSIONS: [(&str, &str, &str); 40] = [
        ("(", "x", ")"),
        ("(a,", "x", ")"),
        ("[", "x", "]"),
        ("[", "x", ";1]"),
        ("{", "x", "}"),
        ("!", "x", ""),
        ("- ", "x", ""),
        ("*", "x", ""),
        ("&", "x", ""),
        ("&raw const ", "x", ""),
        ("", "a", ".b"),
        ("", "a", ".b()"),
        ("", "a", "?"),
        ("", "a", "()"),
        ("", "a", "[0]"),
        ("", "x", " as u8"),
        ("1+", "1", ""),
        ("a||b&&", "1", ""),
        ("a=", "1", ""),
        ("|a|", "x", ""),
        ("!!!!|a,b|", "x", ""),
        ("move||", "x", ""),
        ("||{", "x", "}"),
        ("async{", "x", "}"),
        ("unsafe{", "x", "}"),
        ("break ", "x", ""),
        ("return ", "x", ""),
        ("'a:{", "x", "}"),
        ("if a{", "x", "}"),
        ("if ", "a", "{}"),
        ("", "if a{}", " else if a{}"),
        ("match a{_=>", "x", "}"),
        ("match a{_=>1,_=>", "x", "}"),
        ("for _ in ", "x", "{}"),
        ("S{a:1,b:", "x", "}"),
        ("f(a,", "x", ")"),
        ("a.f(", "x", ")"),
        ("m!(", "x", ")"),
        ("{fn f()where A:B,{", "x", "}}"),
        ("{let a=b else{", "x", "};1}"),
    ];

    const TYPES: [(&str, &str, &str); 14] = [
        ("A<", "B", ">"),
        ("A<A,", "B", ">"),
        ("&&&&&&&&&&&&&&&&A<A,", "B", ">"),
        ("(", "B", ")"),
        ("(A,", "B", ")"),
        ("[", "B", "]"),
        ("&", "B", ""),
        ("*const ", "B", ""),
        ("fn(", "B", ")"),
        ("fn()->", "B", ""),
        ("impl A<", "B", ">"),
        ("dyn for<'a,'b>A<A,", "B", ">"),
        ("A<B=", "C", ">"),
        ("<A as B<A,", "C", ">>::B"),
    ];

    const ITEMS: [(&str, &str, &str); 6] = [
        ("mod a{", "", "}"),
        ("fn a(){", "", "}"),
        ("impl A{fn a()where A:B,{", "", "}}"),
        ("trait A{fn a()where A:B,{", "", "}}"),
        ("static A:u8={", "1", "};"),
        ("enum A{B={", "1", "}}"),
    ];
}
