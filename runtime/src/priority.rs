//! How urgent the turns of a process are.

/// How urgent the turns of a process are, as in Erlang/OTP.
///
/// `Max` and `High` are strict: as long as a process of a higher class is ready, no worker picks one of a
/// lower class. `Low` has about an eighth of the turns of `Normal`, and is never starved by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Priority {
    /// For work that can wait.
    Low = 0,
    /// What a process has unless it says otherwise.
    #[default]
    Normal = 1,
    /// Before all normal work. A process that is always busy at this priority starves all below.
    High = 2,
    /// Before everything. For what must act when all else is overloaded.
    Max = 3,
}

impl Priority {
    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Low,
            1 => Self::Normal,
            2 => Self::High,
            _ => Self::Max,
        }
    }

    /// Whether it goes before all normal work.
    pub(crate) fn is_strict(self) -> bool {
        self >= Self::High
    }
}
