//! What an example promises to print, beside what it has printed. For the tests of the examples, and for `cargo xtask`,
//! which runs them as programs.

/// Whether `text` is the lines of `promised`, in order, however they are indented; in these, `…` stands for anything.
///
/// # Errors
/// What is amiss, for people.
pub(crate) fn kept(text: &str, promised: &[&str]) -> Result<(), String> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    if lines.len() != promised.len() {
        return Err(format!("it promises {} lines and printed {}", promised.len(), lines.len()));
    }
    match lines.iter().zip(promised).find(|(line, promise)| !fits(line, promise)) {
        Some((line, promise)) => Err(format!("it promises `{promise}` and printed `{line}`")),
        None => Ok(()),
    }
}

/// Whether `line` is `promise`, in which each `…` stands for any text but none.
pub(crate) fn fits(line: &str, promise: &str) -> bool {
    let Some((before, after)) = promise.split_once('…') else { return line == promise };
    let Some(rest) = line.strip_prefix(before) else { return false };
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.filter(|at| *at > 0).any(|at| fits(&rest[at..], after))
}

/// The lines that the header of an example promises: the block below `Prints:`.
#[cfg(test)]
pub(crate) fn in_header(source: &str) -> Vec<&str> {
    let header = source.lines().map_while(|line| line.strip_prefix("//!"));
    let block = header.skip_while(|line| !line.ends_with("Prints:")).skip_while(|line| !line.starts_with(" ```"));
    block.skip(1).take_while(|line| !line.starts_with(" ```")).map(str::trim_start).collect()
}
