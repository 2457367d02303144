#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    // The loader catches panics of the libraries it calls. libFuzzer's own hook would end the process before; without
    // it, only a panic that nobody catches does.
    init: drop(std::panic::take_hook()),
    |data: &[u8]| foldline_properties::guest_module::holds(data)
);
