//! Chance that can be had again: a bug is a seed.

/// A sequence of numbers that follows from its seed (SplitMix64; Steele, Lea, Flood, 2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From `ETS_SEED` if it is set, else from the system; prints which.
    pub fn new(test: &str) -> Self {
        let given = std::env::var("ETS_SEED").ok();
        let seed = match given.as_deref().map(str::parse) {
            Some(seed) => seed.expect("ETS_SEED is a number"),
            None => getrandom::u64().expect("the system has randomness") >> 32,
        };
        println!("{test}: ETS_SEED={seed}");
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in a range.
    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next_u64() % (range.end - range.start)
    }

    /// Another sequence, for another thread.
    pub fn split(&mut self) -> Self {
        Self(self.next_u64())
    }
}
