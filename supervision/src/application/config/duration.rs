//! Durations as text, as `1.5s`.

use std::time::Duration;

const UNITS: [(&str, f64); 6] = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("h", 3600.0)];

/// The duration that `text` says.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = (text[..at].parse::<f64>().ok()?, text[at..].trim());
    let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// What may be said instead, in words.
pub(super) const ALLOWED: &str = "a number with one of the units ns, us, ms, s, min, h, as in \"1.5s\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!(parse("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse("250 ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("2h"), Some(Duration::from_secs(7200)));
        for wrong in ["", "5", "s", "-1s", "1.2.3s", "5 weeks", "1e99h"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
