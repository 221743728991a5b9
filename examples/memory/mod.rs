//! What this OS process takes of the machine's memory.

/// How many bytes of it are in memory, where Linux says so.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))?;
    Some(resident.trim().parse::<u64>().ok()? * 1024)
}
