//! What a process costs, as the kernel counts it.

use std::time::Duration;

use crate::Failure;

/// Ticks of the CPU clock in `/proc` a second: 100 on every Linux that Kubernetes runs on.
const TICKS: u64 = 100;

/// What a process has cost so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU time, in user mode and in the kernel.
    pub(crate) cpu: Duration,
    /// Memory it has now, in MiB.
    pub(crate) resident: f64,
    /// The most it has ever had, in MiB.
    pub(crate) peak: f64,
}

impl Cost {
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name of the program comes in brackets and may have spaces in it; the times are the 14th and 15th field.
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        let times = after.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = times.sum::<Result<u64, _>>()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mebibytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u32>().ok());
            kibibytes.map(|size| f64::from(size) / 1024.0).ok_or_else(|| format!("no {key} in /proc/{pid}/status"))
        };
        let cpu = Duration::from_millis(ticks.saturating_mul(1000).checked_div(TICKS).unwrap_or(0));
        Ok(Self { cpu, resident: mebibytes("VmRSS:")?, peak: mebibytes("VmHWM:")? })
    }
}
