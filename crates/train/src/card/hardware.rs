//! The machine a run used.

use serde::{Deserialize, Serialize};

/// What is known of the machine; a system that does not tell leaves `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hardware {
    /// Model name of the processor.
    pub cpu: Option<String>,
    /// Logical processors the program may use.
    pub cores: usize,
    /// Threads it used.
    pub threads: usize,
    /// Main memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Device, instruction set and precision in words.
    pub compute: String,
}

impl Hardware {
    /// This machine; `compute` says what the arithmetic ran on.
    pub fn detect(threads: usize, compute: String) -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: field(&file("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(threads, usize::from),
            threads,
            memory_bytes: field(&file("/proc/meminfo"), "MemTotal")
                .and_then(|value| kibibytes(&value)),
            compute,
        }
    }

    /// Memory in GB (10^9 bytes), as upstream's card counts it.
    pub fn memory_gb(&self) -> Option<f64> {
        self.memory_bytes.map(|bytes| bytes as f64 / 1e9)
    }
}

/// Value of the first `key : value` line.
fn field(text: &str, key: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// `8052012 kB` in bytes.
fn kibibytes(value: &str) -> Option<u64> {
    value
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_files() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nmodel name\t: other\n";
        assert_eq!(
            field(cpuinfo, "model name").as_deref(),
            Some("Some CPU @ 2.0GHz")
        );
        assert_eq!(field(cpuinfo, "flags"), None);
        assert_eq!(kibibytes("16 kB"), Some(16384));
        assert_eq!(kibibytes("16 MB"), None);
    }
}
