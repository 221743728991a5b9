//! A state machine's diagram, drawn from its rules: `stateDiagram-v2` of Mermaid.

use std::fmt::{self, Write};

use super::rules::{self, Does, Rule};

/// The diagram of a machine with these states, that begins in `initial`.
pub(super) fn draw(states: &[&'static str], initial: &str, rules: &[Rule]) -> String {
    let mut text = String::from("stateDiagram-v2\n");
    let mut line = |line: fmt::Arguments<'_>| {
        // A string takes everything.
        let _ = writeln!(text, "    {line}");
    };
    line(format_args!("[*] --> {initial}"));
    for from in states {
        let is_seen = |to: &&str| !leading(rules, from, to).is_empty() || !leading(rules, to, from).is_empty();
        if *from != initial && !states.iter().any(is_seen) {
            line(format_args!("{from}"));
        }
        for to in states {
            let events = leading(rules, from, to);
            if !events.is_empty() {
                line(format_args!("{from} --> {to}: {}", events.join(", ")));
            }
        }
        let postponed = having(rules, from, |rule| rule.does == Does::Postpone);
        if !postponed.is_empty() {
            line(format_args!("note right of {from}: postpones {}", postponed.join(", ")));
        }
    }
    text
}

/// The events that lead from `from` to `to`.
fn leading(rules: &[Rule], from: &str, to: &str) -> Vec<&'static str> {
    having(rules, from, |rule| rule.to.contains(&to))
}

/// The events that have such a rule in the state `from`, each once, in the order in which they are declared.
fn having(rules: &[Rule], from: &str, is_such: impl Fn(&Rule) -> bool) -> Vec<&'static str> {
    let mut events = Vec::new();
    for Rule { event, .. } in rules {
        if !events.contains(event) && rules::applying(rules, event, from).any(&is_such) {
            events.push(*event);
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_what_the_rules_say() {
        let rules = [
            Rule::on("call", "Idle").to(&["Moving", "Open"]),
            Rule::on("call", "Moving"),
            Rule::on("arrive", "Moving").to(&["Open"]),
            Rule::postpone("call", "Open"),
            Rule::on("close", "Open").to(&["Idle"]),
            Rule::on("shut", "Open").to(&["Idle"]),
            Rule::on_any("halt").to(&["Halted"]),
            Rule::ignore("halt", "Halted"),
        ];
        let states = ["Idle", "Moving", "Open", "Halted", "Lost"];
        let drawn = draw(&states, "Idle", &rules);
        let expected = "\
stateDiagram-v2
    [*] --> Idle
    Idle --> Moving: call
    Idle --> Open: call
    Idle --> Halted: halt
    Moving --> Open: arrive
    Moving --> Halted: halt
    Open --> Idle: close, shut
    Open --> Halted: halt
    note right of Open: postpones call
    Lost --> Halted: halt
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn a_state_that_nothing_leads_to_or_from_is_there_too() {
        let drawn = draw(&["On", "Off"], "On", &[]);
        assert_eq!(drawn, "stateDiagram-v2\n    [*] --> On\n    Off\n");
    }
}
