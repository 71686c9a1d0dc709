//! The machine that a bench runs on: what has to stand beside every figure, with how fast it verifies seals, which is the measure of all goals. Not how
//! loaded it is.

use std::fmt;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use tokio::time::Instant;
use truc_transport::clock;

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
    /// Release of the kernel.
    pub kernel: String,
    /// What the folder of the measured broker is on.
    pub file_system: String,
    /// What has happened to a statement before it is answered.
    pub durability: String,
    /// Seals that one core verifies a second, with `verify_strict`, at the moment of this run.
    pub verify_strict_per_second: f64,
    /// The same of all cores at once. Cores that share execution units, as those of a virtual machine may, are together less than the sum.
    pub verify_strict_per_second_all_cores: f64,
}

/// Bytes of the message whose seal is verified: the payload of a document with one recipient and one attachment.
const SEALED_BYTES: usize = 1_100;
/// Keys of different agencies: what one key leaves in the caches must not help the next.
const KEYS: usize = 94;
/// The rate is the best of so many slices: what others on the machine take away is not the machine's.
const SLICES: u32 = 5;
const SLICE: Duration = Duration::from_millis(100);

impl Machine {
    /// This machine, for a broker in `folder` whose blocks take `sync_delay_ms` longer. Takes a second.
    #[must_use]
    pub fn this(folder: &Path, sync_delay_ms: u64) -> Self {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let whole = std::fs::canonicalize(folder);
        let file_system = file_system(&mounts, whole.as_deref().unwrap_or(folder)).to_owned();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = information.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let seals = Seals::new();
        Self {
            cores,
            cpu: model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.to_owned()),
            dalek_backend: dalek_backend(),
            optimised: !cfg!(debug_assertions),
            kernel: kernel.trim().to_owned(),
            durability: durability(&file_system, sync_delay_ms),
            file_system,
            verify_strict_per_second: seals.verified_per_second(1),
            verify_strict_per_second_all_cores: seals.verified_per_second(cores),
        }
    }

    /// So many seals a second would be all cores, if each were alone on the machine: what the goals for both cores are ratios to.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
    pub fn seals_per_second(&self) -> f64 {
        self.verify_strict_per_second * self.cores as f64
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = if self.optimised { "" } else { ", NOT OPTIMISED: build with --release" };
        write!(
            f,
            "{} cores, {}, dalek {} with {:.0} verify_strict/s on one core, {:.0} on all at once, kernel {}{build}",
            self.cores, self.cpu, self.dalek_backend, self.verify_strict_per_second, self.verify_strict_per_second_all_cores, self.kernel
        )
    }
}

/// What durability means on a file system: the sync of one in memory is none.
fn durability(file_system: &str, sync_delay_ms: u64) -> String {
    let warning = if matches!(file_system, "tmpfs" | "ramfs") { " IN MEMORY: give --folder on a disk" } else { "" };
    let delay = if sync_delay_ms > 0 { format!(" + {sync_delay_ms} ms injected") } else { String::new() };
    format!("fdatasync per block{delay}, {file_system}{warning}; answered after it, with checkpoint and proofs")
}

/// The type of the file system that a folder is on: that of the longest mount point above it (proc(5), `/proc/self/mounts`).
fn file_system<'m>(mounts: &'m str, folder: &Path) -> &'m str {
    let mounted = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    // The later of two mounts on one point hides the earlier: `max_by_key` gives the last of equals.
    let above = mounted.filter(|(point, _)| folder.starts_with(point)).max_by_key(|(point, _)| point.len());
    above.map_or("unknown file system", |(_, kind)| kind)
}

/// Seals of different agencies.
struct Seals(Vec<(VerifyingKey, Signature, [u8; SEALED_BYTES])>);

impl Seals {
    fn new() -> Self {
        let sealed = (0..KEYS).map(|_| {
            let (key, message) = (SigningKey::from_bytes(&clock::random()), clock::random::<SEALED_BYTES>());
            (key.verifying_key(), key.sign(&message), message)
        });
        Self(sealed.collect())
    }

    /// Verified a second by so many threads together, in the best of all slices.
    fn verified_per_second(&self, threads: usize) -> f64 {
        let slice = |_| {
            std::thread::scope(|scope| {
                let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.slice())).collect();
                // A thread that panicked verified nothing.
                running.into_iter().filter_map(|thread| thread.join().ok()).sum()
            })
        };
        (0..SLICES).map(slice).fold(0.0, f64::max)
    }

    /// What this thread verifies a second.
    fn slice(&self) -> f64 {
        let (begun, mut verified) = (Instant::now(), 0);
        loop {
            for (key, signature, message) in &self.0 {
                verified += u32::from(black_box(key).verify_strict(message, signature).is_ok());
                if begun.elapsed() >= SLICE {
                    return f64::from(verified) / begun.elapsed().as_secs_f64();
                }
            }
        }
    }
}

/// The arithmetic for seals. The choice of curve25519-dalek 5 (`backend.rs`, `get_selected_backend`): made at run time among what was built.
#[must_use]
#[cfg(target_arch = "x86_64")]
pub fn dalek_backend() -> &'static str {
    if BUILT_WITH_AVX512 && std::is_x86_feature_detected!("avx512ifma") && std::is_x86_feature_detected!("avx512vl") {
        "avx512"
    } else if std::is_x86_feature_detected!("avx2") {
        "avx2"
    } else {
        "serial"
    }
}

/// The arithmetic for seals: elsewhere there is one.
#[cfg(not(target_arch = "x86_64"))]
pub const fn dalek_backend() -> &'static str {
    let _: bool = BUILT_WITH_AVX512;
    "serial"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_on_the_nearest_mount_above_it() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/vdb /run/data xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/run/data/broker")), "xfs");
        assert_eq!(file_system(mounts, Path::new("/run/database")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/home")), "ext4");
        assert_eq!(file_system("", Path::new("/home")), "unknown file system");
    }

    #[test]
    fn memory_is_no_disk_and_a_slower_disk_is_named() {
        assert!(durability("tmpfs", 0).contains("IN MEMORY"));
        assert!(durability("ext4", 5).starts_with("fdatasync per block + 5 ms injected, ext4;"));
    }
}
