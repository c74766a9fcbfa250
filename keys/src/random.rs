//! Every secret starts as bytes from the operating system, and from nowhere else.

use zeroize::Zeroizing;

/// Fills a buffer from the operating system's generator.
///
/// # Panics
///
/// When the system has no randomness to give. There is no second source to fall back on, and a
/// key made without one would be worse than a process that stops.
pub(crate) fn fill(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives randomness");
}

/// A fresh secret, wiped when dropped.
pub(crate) fn secret<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    fill(&mut *bytes);
    bytes
}

/// The same source, as the `rand_core` 0.6 generator that `voprf` expects.
pub(crate) struct OsRandom;

impl rand_core::CryptoRng for OsRandom {}

impl rand_core::RngCore for OsRandom {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        fill(buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), rand_core::Error> {
        fill(buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand_core::RngCore;

    use super::*;

    #[test]
    fn two_secrets_differ() {
        assert_ne!(*secret::<32>(), *secret::<32>());
        assert_ne!(OsRandom.next_u64(), OsRandom.next_u64());
    }
}
