//! What a state machine says of itself: which event leads from where to where.
//!
//! The rules are data, so that the diagram is drawn from them; and each transition is held against them, so that the
//! diagram is true.

/// What becomes of an event in a state, as it is declared.
///
/// `#[machine]` makes them of `#[on(…)]`, `#[postpone(…)]` and `#[ignore(…)]`; by hand they are
/// [`StateMachine::RULES`](crate::StateMachine::RULES).
///
/// # Examples
/// ```
/// use biotope::Rule;
///
/// const RULES: &[Rule] = &[
///     Rule::on("open", "Closed").to(&["Open"]),
///     Rule::on("close", "Open").to(&["Closed"]),
///     Rule::on("lock", "Closed"),
///     Rule::postpone("lock", "Open"),
///     Rule::on_any("burn").to(&["Ashes"]),
/// ];
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) event: &'static str,
    /// `None`: whichever state the event has no other rule for.
    pub(super) from: Option<&'static str>,
    pub(super) to: &'static [&'static str],
    pub(super) does: Does,
    /// It holds only sometimes: others for the same event and state hold as well.
    pub(super) is_guarded: bool,
}

/// What is done with the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Handle,
    Postpone,
    Ignore,
}

impl Rule {
    const fn new(event: &'static str, from: Option<&'static str>, does: Does) -> Self {
        Self { event, from, to: &[], does, is_guarded: false }
    }

    /// In the state of this name the event is handled.
    pub const fn on(event: &'static str, state: &'static str) -> Self {
        Self::new(event, Some(state), Does::Handle)
    }

    /// In all states that the event has no other rule for it is handled.
    pub const fn on_any(event: &'static str) -> Self {
        Self::new(event, None, Does::Handle)
    }

    /// In the state of this name the event is postponed.
    pub const fn postpone(event: &'static str, state: &'static str) -> Self {
        Self::new(event, Some(state), Does::Postpone)
    }

    /// In all states that the event has no other rule for it is postponed.
    pub const fn postpone_any(event: &'static str) -> Self {
        Self::new(event, None, Does::Postpone)
    }

    /// In the state of this name the event is ignored.
    pub const fn ignore(event: &'static str, state: &'static str) -> Self {
        Self::new(event, Some(state), Does::Ignore)
    }

    /// In all states that the event has no other rule for it is ignored.
    pub const fn ignore_any(event: &'static str) -> Self {
        Self::new(event, None, Does::Ignore)
    }

    /// The states that it may lead to. Without this it leads nowhere: the state stays as it is.
    pub const fn to(self, states: &'static [&'static str]) -> Self {
        Self { to: states, ..self }
    }

    /// It does not always hold: other rules for the same event and state hold as well.
    pub const fn sometimes(self) -> Self {
        Self { is_guarded: true, ..self }
    }
}

/// The rules for `event` in the state `from`.
pub(super) fn applying<'a>(rules: &'a [Rule], event: &str, from: &str) -> impl Iterator<Item = &'a Rule> {
    let named = move |rule: &&Rule| rule.event == event && rule.from == Some(from);
    let is_covered = rules.iter().filter(named).any(|rule| !rule.is_guarded);
    rules.iter().filter(move |rule| named(rule) || (!is_covered && rule.event == event && rule.from.is_none()))
}

/// Whether `event` may lead from the state `from` to `to`. Without rules everything may.
pub(super) fn allow(rules: &[Rule], event: &str, from: &str, to: &str) -> bool {
    rules.is_empty() || applying(rules, event, from).any(|rule| rule.to.contains(&to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[Rule] = &[
        Rule::on("push", "Off").to(&["On"]),
        Rule::on("push", "On").sometimes().to(&["Off"]),
        Rule::on_any("push").to(&["Broken"]),
        Rule::on("look", "On"),
    ];

    #[test]
    fn what_is_declared_is_allowed_and_nothing_else_is() {
        assert!(allow(RULES, "push", "Off", "On"));
        assert!(!allow(RULES, "push", "Off", "Off"));
        assert!(!allow(RULES, "look", "On", "Off"));
        assert!(!allow(RULES, "pull", "Off", "On"));
        assert!(allow(&[], "pull", "Off", "On"));
    }

    #[test]
    fn a_rule_for_any_state_holds_where_no_other_surely_does() {
        assert!(!allow(RULES, "push", "Off", "Broken"), "it has a rule of its own");
        assert!(allow(RULES, "push", "On", "Broken"), "its own holds sometimes");
        assert!(allow(RULES, "push", "Broken", "Broken"));
    }
}
