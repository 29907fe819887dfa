//! Scenarios for many seeds.

use std::env;

/// Runs `scenario` for seeds 0 to `count`. `LAMPYRIS_SEEDS` sets another count, `LAMPYRIS_SEED` runs one seed alone. The
/// seed of a scenario that panics is printed.
///
/// # Panics
/// The scenario panicked; a variable is no number.
#[expect(clippy::expect_used, reason = "a variable that is no number is the fault of who set it")]
pub fn each_seed(count: u64, mut scenario: impl FnMut(u64)) {
    let variable = |name| env::var(name).ok().map(|text| text.parse().expect("a whole number in LAMPYRIS_SEED(S)"));
    let seeds = match variable("LAMPYRIS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("LAMPYRIS_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        let named = NamedOnPanic(seed);
        scenario(seed);
        drop(named);
    }
}

struct NamedOnPanic(u64);

impl Drop for NamedOnPanic {
    #[expect(clippy::print_stderr, reason = "the one who reads the failed test needs it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {0}; replay with LAMPYRIS_SEED={0}", self.0);
        }
    }
}
