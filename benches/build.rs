//! Tells the crate how much it was optimised: instruction counts of different builds must not be compared. There is no cfg for it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(level) = std::env::var("OPT_LEVEL") {
        println!("cargo::rustc-env=TRUC_OPT_LEVEL={level}");
    }
}
