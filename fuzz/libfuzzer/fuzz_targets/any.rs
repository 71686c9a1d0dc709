//! libFuzzer's entry to the target that the environment variable `TRUC_FUZZ_TARGET` names; the targets are in `truc-fuzz`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&truc_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("TRUC_FUZZ_TARGET").expect("TRUC_FUZZ_TARGET names a target");
    truc_fuzz::named(&name).unwrap_or_else(|| panic!("no target is called {name}; see fuzz/src/targets/mod.rs"))
});

fuzz_target!(|input: &[u8]| {
    (TARGET.run)(input);
});
