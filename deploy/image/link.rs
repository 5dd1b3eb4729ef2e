//! How `sealctl` is linked when it is static, as in the image: at a fixed address, as Go programs are.
//!
//! A program that can lie anywhere has its tables written once more at every start. That is a hundred pages, and
//! half the time that opening a small file takes; scripts open many. Stack, heap and files are still placed at
//! random, and there is no unsafe code here. `seald`, which is started once and listens, can lie anywhere.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "cargo asks by variables and is answered on standard output"
)]

fn main() {
    println!("cargo::rerun-if-changed=deploy/image/link.rs");
    let of_target =
        |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let is_static = of_target("FEATURE")
        .split(',')
        .any(|feature| feature == "crt-static");
    if is_static && of_target("OS") == "linux" && of_target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bin=sealctl=-no-pie");
        println!("cargo::rustc-link-arg-bin=sealctl=-static");
    }
}
