//! Feeds libFuzzer's bytes to the decoder that `FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

use encrytrust_fuzz::{Target, target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_else(|_| "offer".into());
    target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET={name} is not one of the targets"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
