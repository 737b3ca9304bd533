//! Task sizes: ECS takes cpu as units or vCPU, memory as MiB or GB, as a number or as text.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::domain::resolve::Problem;

/// CPU units; 1024 are one vCPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuUnits(pub u32);

impl CpuUnits {
    /// What a task may use in Kubernetes' unit, thousandths of a core, rounded up: 256 units are 250m.
    pub fn millicores_of_task(self) -> u64 {
        u64::from(self.0).saturating_mul(1000).div_ceil(1024)
    }

    /// What a container asks for, rounded down, and 1m at least: 480 and 32 units fit into a task of 512 (500m) as 468m and 31m, where
    /// 469m and 32m would not, and the API server would refuse the pod.
    pub fn millicores_of_container(self) -> u64 {
        (u64::from(self.0).saturating_mul(1000) / 1024).max(1)
    }

    /// Reads a task's `cpu`: `512`, `"512"`, `"1 vCPU"`, `".5 vcpu"`.
    pub fn parse(size: &IntOrString) -> Result<Self, Problem> {
        let text = text(size);
        let problem = || {
            Problem::new("cpu", format!("{text:?} is not a number of CPU units; write for example 512 or \"0.5 vCPU\""))
        };
        scaled(&text, "vcpu", 1024).filter(|units| *units > 0).map(Self).ok_or_else(problem)
    }
}

/// Memory in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MiB(pub u32);

impl MiB {
    /// Reads a task's `memory`: `1024`, `"1024"`, `"1GB"`, `"0.5 gb"`.
    pub fn parse(size: &IntOrString) -> Result<Self, Problem> {
        let text = text(size);
        let problem = || {
            Problem::new(
                "memory",
                format!("{text:?} is not an amount of memory in MiB; write for example 1024 or \"1 GB\""),
            )
        };
        scaled(&text, "gb", 1024).filter(|mib| *mib > 0).map(Self).ok_or_else(problem)
    }
}

fn text(size: &IntOrString) -> String {
    match size {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    }
}

/// A whole number, or a decimal one in front of a unit that stands for `factor`.
fn scaled(text: &str, unit: &str, factor: u32) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let Some(number) = text.strip_suffix(unit).map(str::trim_end) else {
        return text.parse().ok().filter(|_| digits(&text));
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.len().saturating_add(decimals.len()) == 0 || !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let value = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let scale = 10_u64.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let number = value(whole)?.checked_mul(scale)?.checked_add(value(decimals)?)?;
    u32::try_from(number.checked_mul(u64::from(factor))?.checked_div(scale)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> IntOrString {
        IntOrString::String(text.to_owned())
    }

    #[test]
    fn cpu_is_units_or_vcpu() {
        for (text, units) in
            [("1024", 1024), ("256", 256), ("1 vCPU", 1024), ("1vcpu", 1024), (".5 vCPU", 512), ("0.25 VCPU", 256)]
        {
            assert_eq!(CpuUnits::parse(&size(text)), Ok(CpuUnits(units)), "{text}");
        }
        assert_eq!(CpuUnits::parse(&IntOrString::Int(512)), Ok(CpuUnits(512)));
        for text in
            ["", "vCPU", "-1", "+1", "0", "0 vCPU", "1.5", "1 GB", "1..5 vCPU", "one", ". vCPU", "99999999999 vCPU"]
        {
            assert_eq!(
                CpuUnits::parse(&size(text)).map_err(|problem| problem.member),
                Err("cpu".to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn memory_is_mib_or_gb() {
        for (text, mib) in [("512", 512), ("1GB", 1024), ("1 GB", 1024), ("0.5GB", 512), ("30 gb", 30720)] {
            assert_eq!(MiB::parse(&size(text)), Ok(MiB(mib)), "{text}");
        }
        for text in ["1 vCPU", "0", "0 GB", "-1", "1 TB"] {
            assert_eq!(
                MiB::parse(&size(text)).map_err(|problem| problem.to_string()),
                Err(format!(
                    "spec.memory: {text:?} is not an amount of memory in MiB; write for example 1024 or \"1 GB\""
                ))
            );
        }
        assert!(MiB::parse(&IntOrString::Int(-1)).is_err());
    }

    #[test]
    fn cpu_units_round_up_for_a_task_and_down_for_a_container() {
        let units = [1, 32, 128, 480, 1024].map(CpuUnits);
        assert_eq!(units.map(CpuUnits::millicores_of_task), [1, 32, 125, 469, 1000]);
        assert_eq!(units.map(CpuUnits::millicores_of_container), [1, 31, 125, 468, 1000]);
    }
}
