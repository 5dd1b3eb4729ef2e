#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("sops_yaml"),
    |data: &[u8]| sealctl_fuzz::run("sops_yaml", data)
);
