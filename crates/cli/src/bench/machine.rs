//! The machine that a bench runs on: what has to stand beside every figure. Not how loaded it is.

use std::fmt;

/// Whether this program was built so that curve25519-dalek has its AVX-512 code. It has no function that says which code it takes; its build script
/// reads this flag, and the flags of a build are the same for all crates in it.
#[expect(unexpected_cfgs, reason = "the flag is dalek's own; .cargo/config.toml sets it")]
const BUILT_WITH_AVX512: bool = cfg!(curve25519_dalek_backend = "avx512");

/// What has to stand beside a figure.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// Model of the processor.
    pub cpu: String,
    /// Which arithmetic curve25519-dalek takes for seals: `avx512`, `avx2` or `serial`.
    pub dalek_backend: &'static str,
    /// Whether the program was built with optimisation.
    pub optimised: bool,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = information.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cpu: model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.to_owned()),
            dalek_backend: dalek_backend(),
            optimised: !cfg!(debug_assertions),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = if self.optimised { "" } else { ", NOT OPTIMISED: build with --release" };
        write!(f, "{} cores, {}, dalek {}{build}", self.cores, self.cpu, self.dalek_backend)
    }
}

/// The choice of curve25519-dalek 5 (`backend.rs`, `get_selected_backend`): made at run time among what was built.
#[cfg(target_arch = "x86_64")]
fn dalek_backend() -> &'static str {
    if BUILT_WITH_AVX512 && std::is_x86_feature_detected!("avx512ifma") && std::is_x86_feature_detected!("avx512vl") {
        "avx512"
    } else if std::is_x86_feature_detected!("avx2") {
        "avx2"
    } else {
        "serial"
    }
}

#[cfg(not(target_arch = "x86_64"))]
const fn dalek_backend() -> &'static str {
    let _: bool = BUILT_WITH_AVX512;
    "serial"
}
